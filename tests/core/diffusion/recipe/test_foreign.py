"""Other tools' marks in a prompt are found, said everywhere, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diffusion.models.load import BUNDLED_FOLDER
from core.diffusion.recipe.prompt.foreign import foreign_marks, foreign_words
from core.diffusion.sampling.text_encoder import Tokenizer
from core.diffusion.settings import GenerationSettings

# The web UI's own examples, of its documentation and of the tests of its parser.
MARKS = {
    "a [red:blue:0.5] cat": ["[red:blue:0.5]"],
    "a [fantasy:16] landscape": ["[fantasy:16]"],
    "a [hat::0.25] man": ["[hat::0.25]"],
    "[cow|horse] in a field": ["[cow|horse]"],
    "a cat AND a dog:1.2": ["AND"],
    "a cat BREAK a dog": ["BREAK"],
    "a cat <lora:ink:0.8> in <hypernet:x:1>": ["<lora:ink:0.8>", "<hypernet:x:1>"],
}
NONE = (
    "",
    "a (red:1.3) cat, [dark], [a (b:1.2) c]",
    r"a \[red\] cat: 3",
    "sand and hand, breakfast, snake_case, a__b",
    "a robot's {head}",
    "a __animal__ of {red|blue} glass",  # which is drawn before
    "2 < 3 > 1, <b>bold</b>",
    "[unclosed:0.5",
)


@pytest.mark.parametrize("prompt", MARKS)
def test_each_mark_is_named(prompt: str) -> None:
    assert sorted(mark for mark, _ in foreign_marks(prompt)) == sorted(MARKS[prompt])
    words = foreign_words(prompt)
    assert all(mark in words for mark in MARKS[prompt])
    assert ("LoRA setting" in words) == ("<lora:" in prompt)


@pytest.mark.parametrize("prompt", NONE)
def test_words_are_no_marks(prompt: str) -> None:
    assert foreign_words(prompt) == ""


def test_many_and_long_marks_are_told_short() -> None:
    words = foreign_words(" ".join(f"<lora:{'x' * 300}{number}:1>" for number in range(50)))
    assert len(words) < 400
    assert "46 more" in words


def test_settings_warn_and_run_all_the_same() -> None:
    tokenizer = Tokenizer(BUNDLED_FOLDER)
    settings = GenerationSettings(prompt="a [red:blue:0.5] cat", negative_prompt="x BREAK y")
    said = settings.validate(tokenizer=tokenizer)
    assert [(one.field, one.severity) for one in said] == [
        ("prompt", "warning"),
        ("negative_prompt", "warning"),
    ]
    assert settings.validate() == []
    assert replace(settings, prompt="a cat", negative_prompt="").validate(tokenizer=tokenizer) == []
