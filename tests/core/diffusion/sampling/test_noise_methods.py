"""The ways to vary a noise: AUTOMATIC1111's own, strength 0 the source, parts and chains."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.variations import (
    Variation,
    VariationError,
    chain_text,
    parent_of,
    part_of,
    read_chain,
    ready_to_vary,
    variations_of,
    vary,
    with_variations,
)
from core.diffusion.sampling.noise import initial_noise, seeded_noise
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference

SHAPE = (4, 16, 16)
REGION = "40,24,104,72"
BASE = GenerationSettings(
    prompt="a red apple", seed=1, width=64, height=64, num_inference_steps=2, variation_seed=2
)


def one(method: str, strength: float, seed: int = 2) -> Variation:
    return Variation(seed=seed, strength=strength, method=method, region=REGION, channel=2)


def noises() -> tuple[torch.Tensor, torch.Tensor]:
    return seeded_noise(1, SHAPE)[0], seeded_noise(2, SHAPE)[0]


@pytest.mark.parametrize("method", METHODS)
def test_strength_0_is_the_source_bit_for_bit(method: str) -> None:
    source, other = noises()
    assert torch.equal(vary(source, other, one(method, 0.0), 8), source)


def test_strength_0_is_no_variation_to_the_settings() -> None:
    """So no method runs, and the picture is the stored one of the source."""
    source = replace(BASE, variation_seed=0)
    for name in METHODS:
        at_0 = replace(BASE, variation_method=name, variation_region="0,0,32,32")
        assert variations_of(at_0) == ()
        assert at_0.digest("m") == source.digest("m")


def test_a_method_at_strength_0_gives_the_source_picture(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each method's own arithmetic, which the settings leave out at 0, in the engine's way."""
    source = engine.generate([replace(BASE, variation_seed=0)], strict=True)[0].image
    ran: list[str] = []

    def at_0(noise: torch.Tensor, other: torch.Tensor, change: Variation, factor: int) -> Any:
        ran.append(change.method)
        return vary(noise, other, replace(change, strength=0.0), factor)

    monkeypatch.setattr("core.diffusion.sampling.noise.vary", at_0)
    for name in METHODS:
        settings = replace(
            BASE, variation_method=name, variation_region="0,0,32,32", variation_strength=0.5
        )
        assert max_difference(engine.generate([settings], strict=True)[0].image, source) == 0
    assert ran == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_a_strength_changes_the_noise_and_keeps_it_finite(method: str) -> None:
    source, other = noises()
    for strength in (0.01, 0.5, 0.99, 1.0):
        noise = vary(source, other, one(method, strength), 8)
        assert torch.isfinite(noise).all()
        assert method == "rotate" or not torch.equal(noise, source)
    same = vary(source, source, one(method, 0.5), 8)
    assert torch.isfinite(same).all(), "a seed varied towards itself"


# The web UI's slerp, written again a column at a time in float64.
def columns_apart(source: np.ndarray, other: np.ndarray, t: float) -> np.ndarray:
    found = np.empty_like(source)
    channels, _, width = source.shape
    for c in range(channels):
        for x in range(width):
            a, b = source[c, :, x], other[c, :, x]
            theta = math.acos(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)))
            found[c, :, x] = (math.sin((1 - t) * theta) * a + math.sin(t * theta) * b) / math.sin(
                theta
            )
    return found


def test_which_setting_of_the_web_ui_draws_these_noises_is_said() -> None:
    """Its random number source is the GPU unless it is set to CPU."""
    assert "set to CPU" in METHODS["column_slerp"].expect


@pytest.mark.parametrize("strength", [0.05, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [SHAPE, (4, 9, 5)])
def test_a1111s_variation_is_taken_column_by_column(
    strength: float, shape: tuple[int, int, int]
) -> None:
    source, other = seeded_noise(1, shape)[0], seeded_noise(2, shape)[0]
    mixed = METHODS["column_slerp"].mix(source, other, strength)[0]
    expected = columns_apart(source[0].double().numpy(), other[0].double().numpy(), strength)
    np.testing.assert_allclose(mixed.numpy(), expected, atol=2e-6)
    whole = METHODS["slerp"].mix(source, other, strength)[0]
    if strength < 1:
        assert (whole - mixed).abs().max() > 0.01, "it is not the slerp of the whole"


GOLDEN = {
    (0, 0, 0): 1.846780,
    (0, 63, 1): 0.123483,
    (1, 17, 40): 2.699729,
    (2, 5, 63): -0.182629,
    (3, 63, 63): 0.014162,
    (3, 31, 7): 0.455776,
}


def test_a1111s_variation_has_these_values() -> None:
    """Seeds 42 and 43 at 0.2, from an implementation of the web UI's formula by itself."""
    settings = replace(
        BASE, seed=42, variation_seed=43, variation_strength=0.2, variation_method="column_slerp"
    )
    noise = initial_noise(settings, (4, 64, 64))[0]
    found = [noise[0, c, y, x].item() for c, y, x in GOLDEN]
    assert found == pytest.approx(list(GOLDEN.values()), abs=1e-6)


def test_blend_is_the_same_arc_at_another_pace() -> None:
    """For noises at right angles, exactly; the page shows the slerp's strength beside."""
    source = torch.tensor([[3.0, 0.0]]).double()
    other = torch.tensor([[0.0, 3.0]]).double()
    for name in ("blend", "add_scaled"):
        method = METHODS[name]
        assert method.as_slerp is not None
        for strength in (0.1, 0.25, 0.5, 0.8):
            expected = METHODS["slerp"].mix(source, other, method.as_slerp(strength))
            torch.testing.assert_close(method.mix(source, other, strength), expected)
    blend = METHODS["blend"].as_slerp
    assert blend is not None
    assert [blend(s) for s in (0, 0.5, 1)] == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("name", ["blend", "add_scaled", "rotate"])
def test_what_is_rescaled_keeps_the_sources_norm(name: str) -> None:
    source, other = noises()
    for strength in (0.1, 0.4, 0.9):
        norm = METHODS[name].mix(source, other, strength).norm().item()
        assert norm == pytest.approx(source.norm().item(), rel=1e-5)


def test_adding_without_rescaling_grows_by_the_root_of_1_plus_s_squared() -> None:
    source, other = seeded_noise(1, (4, 64, 64))[0], seeded_noise(2, (4, 64, 64))[0]
    for strength in (0.5, 1.0):
        grown = METHODS["add"].mix(source, other, strength).norm() / source.norm()
        assert grown.item() == pytest.approx(math.sqrt(1 + strength**2), rel=0.02)


def test_a_rotation_is_by_its_angle_and_closes_on_itself() -> None:
    source, other = noises()
    rotate = METHODS["rotate"].mix
    for turn in (0.125, 0.25, 0.5, 0.8):
        cosine = (rotate(source, other, turn) * source).sum() / source.norm() ** 2
        assert cosine.item() == pytest.approx(math.cos(2 * math.pi * turn), abs=1e-5)
    torch.testing.assert_close(rotate(source, other, 0.5), -source, atol=1e-5, rtol=0)
    torch.testing.assert_close(rotate(source, other, 1.0), source, atol=1e-5, rtol=0)


def test_outside_the_region_nothing_changes_and_inside_all_does() -> None:
    source, other = noises()
    noise = vary(source, other, one("region", 0.5), 8)
    changed = (noise != source)[0].all(dim=0)
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[3:9, 5:13] = True  # 40,24,104,72 in latents of 8 pixels
    assert torch.equal(changed, expected)
    assert part_of(replace(one("region", 0.5), region="3,7,9,9"), SHAPE, 8) == (
        slice(None),
        slice(None),
        slice(0, 2),
        slice(0, 2),
    ), "a latent that is touched is taken"


def test_one_channel_changes_alone() -> None:
    source, other = noises()
    noise = vary(source, other, one("channel", 0.5), 8)
    changed = (noise != source)[0].flatten(1)
    assert changed.all(dim=1).tolist() == [False, False, True, False]
    assert changed.any(dim=1).tolist() == [False, False, True, False]


def test_a_channel_that_is_not_there_and_a_region_outside_are_said() -> None:
    channel = replace(BASE, variation_strength=0.5, variation_method="channel", variation_channel=4)
    with pytest.raises(SettingsError, match="channel 4 is none of this model's 4"):
        initial_noise(channel, SHAPE)
    for text, why in {
        "0,0,65,64": "does not lie in the picture of 64 x 64",
        "32,0,32,64": "does not lie in",
        "": "left,top,right,bottom",
        "1,2,3": "left,top,right,bottom",
    }.items():
        settings = replace(
            BASE, variation_strength=0.5, variation_method="region", variation_region=text
        )
        (problem,) = settings.validate()
        assert problem.field == "variation_region"
        assert why in problem.reason
        assert not replace(settings, variation_strength=0.0).validate(), "it has no effect"
    low = replace(BASE, height=8, variation_strength=0.5, variation_method="column_slerp")
    assert [p.field for p in low.validate()] == ["variation_method"]


def test_variations_of_variations_come_one_after_another() -> None:
    first, second = one("slerp", 0.3, seed=5), one("rotate", 0.1, seed=6)
    settings = with_variations(BASE, [first, second])
    noise = initial_noise(settings, SHAPE)[0]
    source, five, six = (seeded_noise(seed, SHAPE)[0] for seed in (1, 5, 6))
    expected = METHODS["rotate"].mix(METHODS["slerp"].mix(source, five, 0.3), six, 0.1)
    assert torch.equal(noise, expected)


def test_a_picture_knows_its_parent_and_strength_0_adds_nothing() -> None:
    root = replace(BASE, variation_seed=0)
    child = replace(ready_to_vary(root), variation_seed=9, variation_strength=0.2)
    grandchild = replace(
        ready_to_vary(child),
        variation_seed=4,
        variation_strength=0.5,
        variation_method="region",
        variation_region="0,0,32,32",
    )
    assert grandchild.variation_chain == "slerp:9:0.2"
    assert not grandchild.validate()
    assert parent_of(grandchild) == child
    assert parent_of(child) == root
    assert parent_of(root) is None
    for settings in (root, child, grandchild):
        at_0 = replace(ready_to_vary(settings), variation_seed=77, variation_method="add")
        assert at_0.digest("m") == settings.digest("m")
        noise = initial_noise(at_0, (4, 8, 8))[0]
        assert torch.equal(noise, initial_noise(settings, (4, 8, 8))[0])
    assert grandchild.digest("m") != child.digest("m") != root.digest("m")


def test_a_chain_is_text_and_back() -> None:
    chain = [
        one("slerp", 0.2),
        replace(one("region", 1.0), channel=0),
        replace(one("channel", 1e-3), region=""),
    ]
    chain[0] = replace(chain[0], region="", channel=0)
    text = chain_text(chain)
    assert text == f"slerp:2:0.2 region:2:1.0:{REGION} channel:2:0.001:2"
    assert list(read_chain(text)) == chain
    assert variations_of(replace(BASE, variation_chain=text)) == tuple(chain)


@pytest.mark.parametrize(
    "text",
    [
        *("slerp", "slerp:1", "lerp:1:0.5", "slerp:1:2", "slerp:1:0", "slerp:-1:0.5"),
        *("slerp:x:0.5", "slerp:1:nan", "slerp:1:0.5:2", "channel:1:0.5:-1", "channel:1:0.5:x"),
        *("region:1:0.5", "region:1:0.5:0,0,999,9", " ".join(["slerp:1:0.5"] * 65)),
    ],
)
def test_a_broken_chain_is_a_problem_of_the_settings(text: str) -> None:
    settings = replace(BASE, variation_chain=text)
    assert [p.field for p in settings.validate()] == ["variation_chain"]
    settings.digest("m")  # a page asks for it before it validates
    if not text.startswith("region:1:0.5:"):
        with pytest.raises(VariationError):
            read_chain(text)


def test_a_prompt_goes_to_another_in_a_straight_line(engine: Engine) -> None:
    base = replace(BASE, variation_seed=0)
    between = replace(base, prompt_2="a glossy robot", prompt_blend=0.5)
    settings = [
        base,
        replace(base, prompt_2="a glossy robot"),
        between,
        replace(between, prompt_blend=1.0),
        replace(base, prompt="a glossy robot"),
    ]
    first, same, half, whole, second = (
        made.image.tobytes() for made in engine.generate(settings, strict=True)
    )
    assert first == same
    assert whole == second
    assert len({first, half, second}) == 3
