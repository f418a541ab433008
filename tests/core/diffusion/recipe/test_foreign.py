"""Other tools' marks in a prompt are found, said everywhere, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import BUNDLED_FOLDER
from core.diffusion.recipe.prompt.foreign import foreign_marks, foreign_words
from core.diffusion.settings import GenerationSettings

# The web UI's own examples, of its documentation and of the tests of its parser.
MARKS = {
    "a [red:blue:0.5 cat": ["[red:blue:0.5 cat"],
    "a cat | a dog in [red:blue:0.5]": ["a cat | a dog in [red:blue:0.5]"],
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
    "a [red:blue:0.5] cat",
    "a [fantasy:16] landscape",
    "a [hat::0.25] man",
    "[cow|horse] in a field",
    "a cat AND a dog:1.2",
    "a cat BREAK a dog",
)


@pytest.mark.parametrize("prompt", MARKS)
def test_each_mark_is_named(prompt: str) -> None:
    assert sorted(mark for mark, _ in foreign_marks(prompt)) == sorted(MARKS[prompt])
    words = foreign_words(prompt)
    assert all(mark in words for mark in MARKS[prompt])
    assert ("LoRA setting" in words) == ("<lora:" in prompt)
    assert ("[from:to:0.5]" in words) == ("[red:" in prompt)


@pytest.mark.parametrize("prompt", NONE)
def test_words_are_no_marks(prompt: str) -> None:
    assert foreign_words(prompt) == ""


def test_many_and_long_marks_are_told_short() -> None:
    words = foreign_words(" ".join(f"<lora:{'x' * 300}{number}:1>" for number in range(50)))
    assert len(words) < 400
    assert "46 more" in words


def test_and_joins_in_the_prompt_alone() -> None:
    assert foreign_words("a cat AND a dog", "prompt") == ""
    assert "plain words: AND" in foreign_words("a cat AND a dog", "negative_prompt")


@pytest.mark.parametrize(
    ("when", "is_late"), [("20", True), ("30", True), ("19", False), ("1.0", True), ("0.5", False)]
)
def test_a_change_after_the_last_step_is_said(when: str, is_late: bool) -> None:
    words = foreign_words(f"a [red:blue:{when}] cat", steps=20)
    assert ("after the last of 20 steps" in words) == is_late
    assert foreign_words(f"a [red:blue:{when}] cat") == ""


def test_settings_warn_and_run_all_the_same() -> None:
    tokenizer = Tokenizer(BUNDLED_FOLDER)
    settings = GenerationSettings(prompt="a [red:blue:99] cat", negative_prompt="x AND y")
    said = settings.validate(tokenizer=tokenizer)
    assert [(one.field, one.severity) for one in said] == [
        ("prompt", "warning"),
        ("negative_prompt", "warning"),
    ]
    assert settings.validate() == []
    assert replace(settings, prompt="a cat", negative_prompt="").validate(tokenizer=tokenizer) == []
