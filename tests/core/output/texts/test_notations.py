"""Weights of other tools mean here what they meant there."""

from __future__ import annotations

import pytest

from core.diffusion.recipe.prompt.weights import Weighted, parse_weights
from core.output.texts.a1111.parameters import parse_a1111
from core.output.texts.notations import NOTATIONS


def weighed(notation: str, prompt: str) -> list[tuple[str, float]]:
    """The pieces that our own reader finds in the converted prompt."""
    converted, _ = NOTATIONS[notation](prompt)
    return [(piece.text, piece.weight) for piece in parse_weights(converted)]


@pytest.mark.parametrize(
    ("notation", "prompt", "pieces"),
    [
        ("NovelAI", "a {fox}", [("a ", 1), ("fox", 1.05)]),
        ("NovelAI", "{{fox}} b", [("fox", 1.1025), (" b", 1)]),
        ("NovelAI", "[fox]", [("fox", 0.9524)]),
        ("NovelAI", "{a {b}}", [("a ", 1.05), ("b", 1.1025)]),
        ("NovelAI", "1.2::fox, snow:: b", [("fox, snow", 1.2), (" b", 1)]),
        ("NovelAI", "-1::fox::", [("fox", -1)]),
        ("NovelAI", "0.5::a {b}::", [("a ", 0.5), ("b", 0.525)]),
        ("NovelAI", "a (fox) b", [("a (fox) b", 1)]),
        ("NovelAI", "a} b]", [("a b", 1)]),
        ("InvokeAI", "a fox+ b", [("a ", 1), ("fox", 1.1), (" b", 1)]),
        ("InvokeAI", "fox++", [("fox", 1.21)]),
        ("InvokeAI", "fox-- b", [("fox", 0.81), (" b", 1)]),
        ("InvokeAI", "(red fox)1.3 b", [("red fox", 1.3), (" b", 1)]),
        ("InvokeAI", "(red fox)++", [("red fox", 1.21)]),
        ("InvokeAI", "(red (fox)+)1.5", [("red ", 1.5), ("fox", 1.65)]),
        ("InvokeAI", "(red fox) b", [("red fox b", 1)]),
        ("InvokeAI", "blue-eyed [fox]", [("blue-eyed [fox]", 1)]),
        ("InvokeAI", "(open", [("(open", 1)]),
        ("ComfyUI", "a [fox] (b:1.2)", [("a [fox] ", 1), ("b", 1.2)]),
        ("ComfyUI", "a (fox)", [("a ", 1), ("fox", 1.1)]),
        ("ComfyUI", r"a \(fox\)", [("a (fox)", 1)]),
        ("web ui", "a [fox]", [("a ", 1), ("fox", round(1 / 1.1, 6))]),
    ],
)
def test_a_weight_keeps_its_meaning(
    notation: str, prompt: str, pieces: list[tuple[str, float]]
) -> None:
    assert weighed(notation, prompt) == pieces


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("prompt", ["", "a fox, snow", "well-lit, café 狐", "4:3"])
def test_a_prompt_without_weights_is_left_alone(notation: str, prompt: str) -> None:
    assert NOTATIONS[notation](prompt) == (prompt, "")


@pytest.mark.parametrize(
    ("notation", "prompt", "words"),
    [
        ("NovelAI", "{fox}", "NovelAI's weights"),
        ("InvokeAI", "fox+", "InvokeAI's weights"),
        ("InvokeAI", '("a", "b").blend(0.3, 0.7)', ".blend()"),
        ("ComfyUI", "[fox]", "[ ]"),
    ],
)
def test_a_conversion_is_said(notation: str, prompt: str, words: str) -> None:
    assert words in NOTATIONS[notation](prompt)[1]


def test_brackets_that_are_letters_come_out_as_letters() -> None:
    for notation in ("NovelAI", "InvokeAI"):
        converted, _ = NOTATIONS[notation](r"a \ b")
        assert parse_weights(converted) == (Weighted(text=r"a \ b"),)


@pytest.mark.parametrize(
    ("version", "read"),
    [
        ("v1.10.1", "a [fox]"),
        ("ComfyUI", r"a \[fox\]"),
        ("Fooocus v2.5.5", r"a \[fox\]"),
        ("Diffusion Lightbox 0.1.0", "a [fox]"),
    ],
)
def test_a_parameters_text_keeps_the_weights_of_the_tool_that_wrote_it(
    version: str, read: str
) -> None:
    parsed = parse_a1111(f"a [fox]\nSteps: 9, Sampler: Euler, Seed: 3, Version: {version}")
    assert parsed is not None
    assert parsed.values["prompt"] == read
    assert any("[ ]" in note for note in parsed.notes) == (read != "a [fox]")
