"""Prompt weights: the web UI's syntax and formula, and nothing at all where the weight is 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion.engine import Engine
from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import LoadedModel, describe
from core.diffusion.recipe.prompt.weights import (
    EMPHASES,
    MOST,
    canonical_prompt,
    parse_weights,
    plain_text,
    weigh,
)
from core.diffusion.sampling.text_encoder import PromptEncoder
from core.diffusion.settings import GenerationSettings

SETTINGS = GenerationSettings(prompt="a red apple", num_inference_steps=2, width=64, height=64)


def read(prompt: str) -> list[tuple[str, float]]:
    return [(piece.text, piece.weight) for piece in parse_weights(prompt)]


# The examples of `parse_prompt_attention` in the web UI, and its unbalanced ones.
@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        ("((red)) [blue]", [("red", 1.21), (" ", 1.0), ("blue", 0.909091)]),
        ("(word:1.3)", [("word", 1.3)]),
        ("(word : 1.3 )", [("word ", 1.3)]),
        ("(word:-.5)", [("word", -0.5)]),
        ("(time: noon)", [("time: noon", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("word:1.3)", [("word:1.3)", 1.0)]),
        ("a smile :) and ]", [("a smile :) and ]", 1.0)]),
        ("", [("", 1.0)]),
        ("()", [("", 1.0)]),
        (r"back\slash \\ and \( kept", [(r"back\slash \ and ( kept", 1.0)]),
        (r"no bracket \\ is as it is", [(r"no bracket \\ is as it is", 1.0)]),
    ],
)
def test_prompts_are_read_as_the_web_ui_reads_them(
    prompt: str, expected: list[tuple[str, float]]
) -> None:
    assert read(prompt) == expected


@given(st.text(alphabet="ab ()[]:\\.1-", max_size=40))
def test_any_text_is_read(prompt: str) -> None:
    pieces = parse_weights(prompt)
    assert pieces
    assert all(abs(piece.weight) <= MOST for piece in pieces)
    if not set("()[]") & set(prompt):
        assert plain_text(prompt) == prompt
    is_weighted = any(piece.weight != 1 for piece in pieces)
    assert isinstance(canonical_prompt(prompt), list) == is_weighted
    GenerationSettings(prompt=prompt).digest("model")


def test_endless_brackets_are_read_in_time_and_stay_finite() -> None:
    for prompt in ("(" * 50_000, "(a" * 20_000, "(a:999999)" * 500, "(" * 99 + "a" + ")" * 99):
        assert all(abs(piece.weight) <= MOST for piece in parse_weights(prompt))


def test_digests_of_prompts_without_weights_are_those_of_before() -> None:
    plain = SETTINGS.digest("model")
    assert plain == "3225951e453858b30db7f42d981ec33c973db498476fca20090f22d3bae08cc3"
    for same in ("a (red:1) apple", "a (red:1.0) [(apple)]", r"a (red apple:1)"):
        assert replace(SETTINGS, prompt=same).digest("model") == plain
    for other in ("a (red:1.1) apple", "a (red) apple", "a [red] apple", r"a \(red\) apple"):
        assert replace(SETTINGS, prompt=other).digest("model") != plain
    # Two ways to write one weight are one picture.
    ways = ("a (red) apple", "a (red:1.1) apple")
    assert len({replace(SETTINGS, prompt=way).digest("model") for way in ways}) == 1


def test_weight_one_is_none_pixel_for_pixel(model: LoadedModel) -> None:
    encode = PromptEncoder(model)
    for prompt in ("a red apple", "a red apple, flat style" * 30, ""):
        assert torch.equal(encode(f"({prompt}:1)"), encode(prompt))
    plain, one = Engine(model).generate(
        [SETTINGS, replace(SETTINGS, prompt="a (red:1.0) apple")], strict=True
    )
    assert plain.image.tobytes() == one.image.tobytes()
    heavy = Engine(model).generate([replace(SETTINGS, prompt="a (red:1.5) apple")], strict=True)[0]
    assert heavy.image.tobytes() != plain.image.tobytes()


def test_literal_brackets_need_a_backslash(model: LoadedModel) -> None:
    expected = model.pipeline().encode_prompt("a (red) apple", "cpu", 1, False)[0]
    assert torch.equal(PromptEncoder(model)(r"a \(red\) apple"), expected)


def test_a_weight_multiplies_its_own_tokens(model: LoadedModel) -> None:
    encode = PromptEncoder(model)
    plain, heavy = encode("a red apple"), encode("a (red:1.5) apple")
    tokens = Tokenizer(describe("bundled").folder).tokens("a (red:1.5) apple")
    weights = torch.ones(77)
    for place, token in enumerate(tokens, start=1):  # after the start token
        weights[place] = token.weight
    assert sorted(set(weights.tolist())) == [1.0, 1.5]
    assert torch.allclose(heavy, plain * weights[:, None], rtol=1e-6, atol=1e-6)


def test_the_mean_is_restored_where_there_is_one() -> None:
    """EmphasisOriginal: times the weights, times the old mean over the new one."""
    hidden = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(1)) - 0.1
    weights = [1.0, 1.0, 1.4, 0.8, 1.0]
    by_hand = hidden * torch.tensor(weights).reshape(5, 1)
    by_hand = by_hand * (hidden.mean() / by_hand.mean())
    weighed = weigh(hidden, weights)
    assert torch.allclose(weighed, by_hand)
    assert torch.allclose(weighed.mean(), hidden.mean(), rtol=1e-5)
    centred = hidden - hidden.mean()
    expected = centred * torch.tensor(weights).reshape(5, 1)
    assert torch.allclose(weigh(centred, weights), expected)


def test_without_norm_the_mean_is_what_the_weights_make_it() -> None:
    """EmphasisOriginalNoNorm: times the weights, and nothing else."""
    hidden = torch.randn((1, 3, 4), generator=torch.Generator().manual_seed(0)) + 2
    found = weigh(hidden, [1.0, 1.4, 0.8], keeps_mean=False)
    assert torch.equal(found, hidden * torch.tensor([1.0, 1.4, 0.8])[:, None])
    assert not torch.allclose(found, weigh(hidden, [1.0, 1.4, 0.8]))


def test_emphasis_is_told_to_the_encoder(model: LoadedModel) -> None:
    def embedded(prompt: str, emphasis: str) -> torch.Tensor:
        settings = GenerationSettings(prompt=prompt, emphasis=emphasis)
        (told,) = PromptEncoder(model).condition(settings, 1)
        return told.conds[0][0]

    def shifted(module: Any, given: Any, found: Any) -> Any:
        found["last_hidden_state"] = found[0] + 1  # the bundled model's mean is next to nothing
        return found

    hook = model.text_encoder.register_forward_hook(shifted)
    try:
        weighed = [embedded("a (red:1.5) apple", one) for one in EMPHASES]
        plain = [embedded("a red apple", one) for one in EMPHASES]
    finally:
        hook.remove()
    assert torch.equal(*plain)
    assert abs(weighed[0].mean() - plain[0].mean()) < 1e-5
    assert abs(weighed[1].mean() - plain[0].mean()) > 1e-3


@pytest.mark.parametrize(
    ("changes", "matters"),
    [
        ({"prompt": "a (red:1.3) apple"}, True),
        ({"prompt": "a red apple"}, False),
        ({"prompt": "a [red:(blue:1.2):0.5] apple"}, True),
        ({"prompt": "an apple", "negative_prompt": "(red)"}, True),
        ({"prompt": "an apple", "negative_prompt": "(red)", "guidance_scale": 1.0}, False),
        ({"prompt": "an apple", "prompt_2": "(red)"}, False),
    ],
)
def test_emphasis_matters_where_a_text_that_acts_has_weights(
    changes: dict[str, object], matters: bool
) -> None:
    settings = GenerationSettings(emphasis="No norm", **changes)  # type: ignore[arg-type]
    assert settings.matters("emphasis") == matters
    same = settings.digest("f") == replace(settings, emphasis="Original").digest("f")
    assert same != matters


def test_what_is_cut_off_is_told_without_weights() -> None:
    tokenizer = Tokenizer(describe("bundled").folder)
    fitting = " ".join(["apple"] * 75)
    assert tokenizer.cut_off(f"({fitting}:1.2) [blue]") == "blue"
    assert tokenizer.count(f"({fitting}:1.2)") == 75
    assert [(t.text.strip(), t.weight) for t in tokenizer.tokens("(apple:1.2)")] == [("apple", 1.2)]
