import math
from dataclasses import replace

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.recipe.noise_methods import slerp
from core.diffusion.sampling.noise import initial_noise, seeded_noise
from core.diffusion.settings import GenerationSettings

SHAPE = (4, 16, 16)


def test_a_seed_is_diffusers_noise() -> None:
    from diffusers.utils.torch_utils import randn_tensor

    generator = torch.Generator("cpu").manual_seed(42)
    expected = randn_tensor((1, *SHAPE), generator=generator)
    assert torch.equal(seeded_noise(42, SHAPE)[0], expected)


def test_slerp_keeps_to_the_great_circle() -> None:
    """Closed form in the plane: between (1, 0) and (0, 1), t is the angle t * 90 degrees."""
    x, y = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()
    for t in (0.0, 0.2, 0.5, 1.0):
        angle = t * math.pi / 2
        expected = torch.tensor([math.cos(angle), math.sin(angle)]).double()
        torch.testing.assert_close(slerp(x, y, t), expected)


def test_slerp_of_noise_stays_noise() -> None:
    one, other = seeded_noise(1, SHAPE)[0], seeded_noise(2, SHAPE)[0]
    assert slerp(one, other, 0.5).norm() == pytest.approx(one.norm().item(), rel=0.05)
    assert torch.equal(slerp(one, other, 0), one)
    assert torch.equal(slerp(one, other, 1), other)
    assert torch.isfinite(slerp(one, one, 0.5)).all()


def test_variation_strength_0_is_the_seed_and_1_the_other_seed(engine: Engine) -> None:
    base = GenerationSettings(seed=1, width=64, height=64, num_inference_steps=2)
    settings = [
        base,
        replace(base, variation_seed=2, variation_strength=0.0),
        replace(base, variation_seed=2, variation_strength=1.0),
        replace(base, seed=2),
    ]
    one, same, moved, other = (g.image.tobytes() for g in engine.generate(settings, strict=True))
    assert one == same
    assert moved == other
    assert one != other
    half = replace(base, variation_seed=2, variation_strength=0.5)
    noise = initial_noise(half, SHAPE)[0]
    expected = slerp(seeded_noise(1, SHAPE)[0], seeded_noise(2, SHAPE)[0], 0.5)
    assert torch.equal(noise, expected)
