"""What the pages say of the two parts of guidance, on runs of the bundled model by DDIM.

dev/CLAIMS.md has the sentence, its source and what sixteen runs gave.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.diffusion.models.info import preview_rgb
from core.diffusion.models.loaded import LoadedModel
from core.output.figures.guidance_parts import ACROSS, ALONG, BOTH, split_guidance

PROMPTS = (
    "a red apple on a blue background",
    "a yellow star on a green background",
    "an owl on a white background",
    "a blue heart on a yellow background, flat style",
)
SCALE = 12.0


@torch.no_grad()
def end(model: LoadedModel, scale: float, kept: str, steps: int = 20) -> tuple[float, float]:
    """Mean RMS of the final latents, and mean share of the picture's subpixels at 0 or 255."""
    pipe = model.pipeline("DDIM")
    pairs = [pipe.encode_prompt(prompt, "cpu", 1, True, "") for prompt in PROMPTS]
    embeddings = torch.cat([*(uncond for _, uncond in pairs), *(cond for cond, _ in pairs)])
    noise = [
        torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(seed))
        for seed in range(len(PROMPTS))
    ]
    latents, scheduler = torch.cat(noise), pipe.scheduler
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        abar = scheduler.alphas_cumprod[t]
        out = model.unet(torch.cat([latents] * 2), t, embeddings).sample
        uncond, cond = (
            ((latents - (1 - abar).sqrt() * eps) / abar.sqrt()).numpy() for eps in out.chunk(2)
        )
        x0 = [split_guidance(*both).guided(scale, kept) for both in zip(cond, uncond, strict=True)]
        eps = (latents - abar.sqrt() * torch.from_numpy(np.stack(x0))) / (1 - abar).sqrt()
        latents = scheduler.step(eps.float(), t, latents).prev_sample
    final = latents.numpy()
    clipped = [np.isin(preview_rgb(one, model.info), (0, 255)).mean() for one in final]
    return float(np.sqrt(np.square(final).mean((1, 2, 3))).mean()), float(np.mean(clipped))


def test_the_part_along_the_conditional_x0_enlarges_and_saturates(model: LoadedModel) -> None:
    none, along, across = (
        end(model, scale, kept) for scale, kept in ((1.0, BOTH), (SCALE, ALONG), (SCALE, ACROSS))
    )
    assert none[0] < across[0] < along[0], "the part along enlarges more"
    assert along[1] > max(none[1], across[1]), "and it alone saturates"


def test_both_parts_are_guidance_itself() -> None:
    chance = np.random.default_rng(1)
    cond, uncond = chance.standard_normal((2, 4, 8, 8))
    parts = split_guidance(cond, uncond)
    expected = uncond + SCALE * (cond - uncond)
    np.testing.assert_allclose(parts.guided(SCALE), expected, rtol=1e-9, atol=1e-9)
    assert float((parts.along * parts.across).sum()) == pytest.approx(0, abs=1e-9)
    assert np.linalg.matrix_rank(np.stack([parts.along.ravel(), cond.ravel()])) == 1
    only = parts.guided(SCALE, ALONG) + parts.guided(SCALE, ACROSS) - cond
    np.testing.assert_allclose(only, expected, rtol=1e-9, atol=1e-9)
    nothing = split_guidance(np.zeros_like(cond), uncond)
    assert not nothing.along.any()
