"""What tasks answer, by loops over diffusers' own schedulers."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from core.diffusion.models.loaded import LoadedModel
from core.lessons.grading import grade
from core.lessons.lesson import PARTS
from tests.core.lessons.conftest import Ran


@torch.no_grad()
def comes_back(model: LoadedModel, run: Any) -> list[float]:
    """The RMS errors of the latents at guidance 1 and at the guidance of the settings."""
    settings = run.plan.cells[0].settings
    pipe: Any = model.pipeline("DDIM")
    cond, uncond = pipe.encode_prompt(settings.prompt, "cpu", 1, True, "")
    picture = Image.fromarray(run.store.inputs.read(settings.init_image))
    pixels = pipe.image_processor.preprocess(picture)
    source = model.vae.encode(pixels).latent_dist.mean * model.vae.config.scaling_factor
    inverse: Any = diffusers.DDIMInverseScheduler.from_config(pipe.scheduler.config)
    inverse.set_timesteps(settings.num_inference_steps)
    noise = source
    for t in inverse.timesteps:
        noise = inverse.step(model.unet(noise, t, cond).sample, t, noise).prev_sample
    errors: list[float] = []
    for scale in (1.0, settings.guidance_scale):
        pipe.scheduler.set_timesteps(settings.num_inference_steps)
        x = noise
        for t in pipe.scheduler.timesteps:
            without, said = (model.unet(x, t, one).sample for one in (uncond, cond))
            x = pipe.scheduler.step(without + scale * (said - without), t, x).prev_sample
        errors.append(float((x - source).square().mean().sqrt()))
    return errors


def test_errors_of_the_inversion(ran: Ran, bundled: LoadedModel) -> None:
    run = ran.run("08-inversion")
    assert grade(run).measured.values == pytest.approx(comes_back(bundled, run), rel=1e-2)


@pytest.mark.parametrize("part", PARTS)
def test_how_far_each_mistake_moves_the_picture(ran: Ran, part: str) -> None:
    run = ran.run("11-mistakes", part)
    expected = [
        float(np.sqrt(((np.asarray(one.right, float) - np.asarray(one.wrong, float)) ** 2).mean()))
        for one in run.results
    ]
    graded = grade(run)
    assert graded.measured.values == pytest.approx(expected)
    assert graded.answer == int(np.argmax(expected))
