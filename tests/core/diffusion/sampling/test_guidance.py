from typing import Any

import pytest
import torch

from core.diffusion.models.load import load_model
from core.diffusion.sampling.guidance import Said, guide
from core.diffusion.sampling.prediction import to_epsilon, to_x0
from core.diffusion.settings import GenerationSettings

SCALES = (1.1, 3.3, 7.3, 11.7)
"""None of them is a number of bfloat16."""


def test_guidance_in_bfloat16_is_diffusers_own_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its pipeline hands to its scheduler, by a UNet whose answers are random numbers."""
    generator = torch.Generator().manual_seed(0)
    uncond, cond = (torch.randn(1, 4, 16, 16, generator=generator).bfloat16() for _ in range(2))
    pipe = load_model("bundled", device="cpu", dtype=torch.bfloat16).pipeline("DDIM")
    answer = (torch.cat([uncond, cond]),)
    monkeypatch.setattr(pipe.unet, "forward", lambda *given, **options: answer)
    handed: list[torch.Tensor] = []
    plain_step = pipe.scheduler.step

    def step(prediction: torch.Tensor, *given: Any, **options: Any) -> Any:
        handed.append(prediction)
        return plain_step(prediction, *given, **options)

    pipe.scheduler.step = step
    for scale in SCALES:
        pipe("a", num_inference_steps=1, guidance_scale=scale, output_type="latent")
        guided = guide(
            Said(call=0, is_guided=True, cond=cond, uncond=uncond),
            GenerationSettings(guidance_scale=scale),
        )
        assert torch.equal(guided, handed[-1]), scale


def test_other_ways_to_write_guidance_round_to_other_numbers_in_bfloat16() -> None:
    """So that the test above could fail: each of these is the same formula on paper."""
    generator = torch.Generator().manual_seed(0)
    uncond, cond = (torch.randn(1, 4, 16, 16, generator=generator).bfloat16() for _ in range(2))
    for scale in SCALES:
        guided = guide(
            Said(call=0, is_guided=True, cond=cond, uncond=uncond),
            GenerationSettings(guidance_scale=scale),
        )
        others = {
            "weighted sum": (1 - scale) * uncond + scale * cond,
            "from the other side": cond + (scale - 1) * (cond - uncond),
            "rounded scale": uncond + torch.tensor(scale).bfloat16() * (cond - uncond),
            "float32": (uncond.float() + scale * (cond.float() - uncond.float())).bfloat16(),
        }
        for name, other in others.items():
            assert not torch.equal(guided, other), (name, scale)


def test_every_prediction_type_gives_back_the_noise_and_the_picture() -> None:
    """Closed form: x = sqrt(abar) x0 + sqrt(1 - abar) eps, v = sqrt(abar) eps - sqrt(1-abar) x0."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(3, 4, 8, 8, generator=generator).double() for _ in range(2))
    sigma = torch.tensor([0.1, 1.0, 9.0]).double()
    abar = (1 / (1 + sigma**2)).view(-1, 1, 1, 1)
    x = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    velocity = abar.sqrt() * eps - (1 - abar).sqrt() * x0
    for kind, prediction in (("epsilon", eps), ("v_prediction", velocity), ("sample", x0)):
        found = to_epsilon(prediction, x, sigma, kind)
        torch.testing.assert_close(found, eps)
        torch.testing.assert_close(to_x0(found, x, sigma), x0)
