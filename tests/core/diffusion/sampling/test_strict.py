"""Strict images equal diffusers' own pipeline, pixel for pixel."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference

BASE = GenerationSettings(
    prompt="a red apple on a blue background", width=64, height=64, seed=11, num_inference_steps=4
)


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


def pipeline_image(model: LoadedModel, settings: GenerationSettings) -> Image.Image:
    return model.pipeline(settings.scheduler)(
        settings.prompt,
        negative_prompt=settings.negative_prompt or None,
        width=settings.width,
        height=settings.height,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        guidance_rescale=settings.guidance_rescale,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
    ).images[0]


@pytest.mark.parametrize("negative_prompt", ["", "green"])
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0, 7.5])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_equals_the_pipeline(
    engine: Engine, scheduler: str, guidance_scale: float, negative_prompt: str
) -> None:
    settings = replace(
        BASE,
        scheduler=scheduler,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
    )
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


@pytest.mark.parametrize("num_inference_steps", [1, 2, 3, 20])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_few_and_many_steps_equal_the_pipeline(
    engine: Engine, scheduler: str, num_inference_steps: int
) -> None:
    settings = replace(
        BASE, scheduler=scheduler, num_inference_steps=num_inference_steps, width=16, height=8
    )
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


def test_guidance_rescale_and_full_size_equal_the_pipeline(engine: Engine) -> None:
    settings = replace(
        BASE, guidance_scale=12.0, guidance_rescale=0.7, width=128, height=96, seed=2**32 - 1
    )
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


def test_a_prompt_over_the_limit_is_cut_as_the_pipeline_cuts_it(engine: Engine) -> None:
    settings = replace(BASE, prompt="a red apple and a green pear " * 30)
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


def test_latents_of_every_step_are_those_the_pipeline_reports(engine: Engine) -> None:
    """`callback_on_step_end` is diffusers' own word on the latents after each call."""
    for scheduler in ("DDIM", "Euler a", "Heun", "DPM++ 2M Karras", "PNDM"):
        settings = replace(BASE, scheduler=scheduler)
        seen: list[torch.Tensor] = []

        def keep(pipe: object, step: int, timestep: int, values: dict, seen: list = seen) -> dict:
            seen.append(values["latents"].clone())
            return values

        engine.model.pipeline(scheduler)(
            settings.prompt,
            width=64,
            height=64,
            num_inference_steps=4,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
            callback_on_step_end=keep,
            output_type="latent",
        )
        trajectory = engine.generate([settings], strict=True, record="latents")[0].trajectory
        assert trajectory is not None
        assert trajectory.latents is not None
        ours = torch.from_numpy(trajectory.latents[1:])
        assert torch.equal(ours, torch.cat(seen)), scheduler
