"""The web UI's text taken apart, as it and a dozen other programs write it."""

from __future__ import annotations

import pytest

from core.output.texts.a1111.parameters import parse_a1111
from core.output.texts.a1111.parts import take_apart
from core.output.texts.a1111.prompt_words import (
    foreign_syntax,
    take_loras,
    without_lone_backslashes,
)

LINE = "Steps: 20, Sampler: Euler, Seed: 3"


def fields(text: str) -> dict[str, str]:
    parts = take_apart(text)
    assert parts is not None
    return dict(parts.fields)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("Steps: 20.0, Sampler: Euler", "Steps", "20"),
        ("steps: 20, SAMPLER: Euler, seed: 3.0", "Seed", "3"),
        ("Steps: 20, Sampler: k_euler_a", "Sampler", "Euler a"),
        ("Steps: 20, Sampler: dpmpp_2m_karras", "Schedule type", "Karras"),
        ("Steps: 20, Sampler: dpmpp_2m, Scheduler: karras", "Schedule type", "Karras"),
        ("Steps: 20, Guidance scale: 7, Sampler: Euler", "CFG scale", "7"),
        ("Steps: 20, Sampler: Euler, Size: 512 x 640", "Size", "512x640"),
        ("Steps: 20, Sampler: Euler, Size: 512×640", "Size", "512x640"),
        ("Steps: 20, Sampler: Euler, Seed: 1, Seed: 2", "Seed", "1"),
        ('Steps: 20, Sampler: Euler, Note: "Seed: 5, Steps: 9", Seed: 1', "Seed", "1"),
        ('Steps: 20, Sampler: Euler, Meta: {"a": "Size: 8x8, Seed: 9"}, Seed: 1', "Seed", "1"),
        ('Steps: 20, Sampler: Euler, List: [1, "Seed: 9"], Seed: 1', "Seed", "1"),
        ('Steps: 20, Sampler: Euler, Note: "a\nSteps: 9, Sampler: x", Seed: 1', "Seed", "1"),
        ("Steps: 20, Sampler: Euler, Model: tea, milk, Seed: 1", "Model", "tea, milk"),
        ('Steps: 20, Sampler: Euler, Note: "open, Seed: 1', "Seed", "1"),
        ("Steps: 20, Sampler: Euler, Meta: {broken, Seed: 1", "Seed", "1"),
        ("Steps: 20 | Sampler: Euler | Model: a, b | Seed: 1", "Model", "a, b"),
        ("Sampler: Euler, Seed: 1, Steps: 20", "Steps", "20"),
        (f"{LINE}\nTemplate: a cat, Seed: 9", "Template", "a cat, Seed: 9"),
    ],
)
def test_a_value(line: str, key: str, value: str) -> None:
    found = fields(f"a cat\nNegative prompt: dog\n{line}")
    assert found[key] == value
    assert found["Steps"] == "20"


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (f"a cat\n{LINE}", "a cat", ""),
        (f"a cat\r\nNegative prompt: dog\r\n{LINE}", "a cat", "dog"),
        (f"a cat\rNegative prompt: dog\r{LINE}", "a cat", "dog"),
        (f"a cat. Negative prompt: dog {LINE}", "a cat.", "dog"),
        (f"a cat.Negative prompt: dog.{LINE}", "a cat", "dog"),
        (f"a catNegative prompt: dog{LINE}", "a cat", "dog"),
        (f"a cat\nNEGATIVE PROMPT: dog\n{LINE}", "a cat", "dog"),
        (f"Steps: 3 cats, Sampler: sofa\n{LINE}", "Steps: 3 cats, Sampler: sofa", ""),
        (f"Negative prompt: dog\n{LINE}", "", "dog"),
        (f'say: "a\nb\n{LINE}', 'say: "a\nb', ""),
        (f'Size: "a\n{LINE}, Note: "b: 1"', 'Size: "a', ""),
        ("a cat\nNegative prompt: dog\nmouse", "a cat", "dog\nmouse"),
        (LINE, "", ""),
    ],
)
def test_the_prompts(text: str, prompt: str, negative: str) -> None:
    parts = take_apart(text)
    assert parts is not None
    assert (parts.prompt, parts.negative_prompt) == (prompt, negative)


@pytest.mark.parametrize("text", ["", "a cat", "Steps: many", "Steps: 20", "{}", "a, b: c, d: e"])
def test_a_text_that_is_none(text: str) -> None:
    assert take_apart(text) is None


@pytest.mark.parametrize(
    ("word", "weight", "said"),
    [
        ("<lora:ink:0.8>", 0.8, False),
        ("<lora:ink:.5>", 0.5, False),
        ("<lora:ink>", 1.0, False),
        ("<lora:ink:0.8:0.8>", 0.8, False),
        ("<lora:ink:0.8:0.5>", 0.5, True),
        ("<lora:ink:te=0.8:unet=0.5>", 0.5, True),
        ("<LORA:ink:1e-1>", 0.1, False),
    ],
)
def test_a_lora_in_the_prompt(word: str, weight: float, said: bool) -> None:
    rest, found, notes = take_loras(f"a cat {word}", lambda: ["ink"])
    assert (rest, found) == ("a cat", {"ink": weight})
    assert bool(notes) == said


@pytest.mark.parametrize("word", ["<lora:ink:loud>", "<lora:paper:1>", "<lora:ink:nan>"])
def test_a_lora_that_cannot_be_used_stays(word: str) -> None:
    rest, found, _ = take_loras(f"a cat {word}", lambda: ["ink"])
    assert (rest, found) == (f"a cat {word}", {})
    assert foreign_syntax(rest) == ["the LoRA or hypernetwork in the prompt"]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [("a\\b", "ab"), (r"a \(b\)", r"a \(b\)"), (r"a \\ b", r"a \\ b"), ("end\\", "end")],
)
def test_a_lone_backslash_is_dropped_as_the_web_ui_does(prompt: str, read: str) -> None:
    assert without_lone_backslashes(prompt) == read
    parsed = parse_a1111(f"{prompt}\n{LINE}")
    assert parsed is not None
    assert parsed.values["prompt"] == read


def test_a_bracket_that_is_not_closed_is_said() -> None:
    assert foreign_syntax("a [cat:dog:0.5") == ["the bracket that is not closed in the prompt"]
    assert foreign_syntax("a [cat:dog:0.5] [x|y] BREAK b AND c") == []
    assert foreign_syntax("a [cat:dog] [x] a: b") == []


LONG = 400_000
HOSTILE = {
    "one word": "a" * LONG,
    "blanks": " " * LONG,
    "colons": ":" * LONG,
    "an open bracket and colons": "[" + "a:" * (LONG // 2),
    "open brackets": "[" * LONG,
    "open quotes": 'Steps: "' * (LONG // 8),
    "open lines of quotes": 'Steps: "\n' * (LONG // 9),
    "open JSON": "Steps: [1, " * (LONG // 11),
    "nested JSON": "Steps: " + "[" * LONG,
    "JSON that goes on": 'Steps: ["' + "a, Steps: [1, 2] x," * (LONG // 19),
    "escaped quotes": 'Steps: "' + '\\", Steps: "' * (LONG // 12),
    "keys": "Steps: 1, " * (LONG // 10),
    "lines": "Steps: 1, Sampler: Euler, Seed: 3\n" * (LONG // 34),
    "inline": "Steps: 1, Sampler: x " * (LONG // 21),
    "negatives": "Negative prompt:" * (LONG // 16),
    "loras": "<lora:" * (LONG // 6),
    "lora weights": "<lora:a" + ":1" * (LONG // 2),
    "commas": "Steps: 1" + "," * LONG,
    "dots": "Steps: 1." + "0" * LONG,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_text_is_read_in_linear_time(name: str) -> None:
    """40,000 letters once took 13 s: in quadratic time ten times as many take half an hour."""
    parse_a1111(HOSTILE[name])
    parse_a1111(f"{HOSTILE[name]}\n{LINE}")
