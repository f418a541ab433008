"""Each mistake is the one it says: diffusers, misused in that way, gives the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import MadeMistake
from core.diffusion.inside.attention import attend
from core.diffusion.inside.mistake_table import MISTAKES
from core.diffusion.inside.mistakes import make_mistake
from core.diffusion.models.load import LoadedModel, ModelError
from core.diffusion.recipe.noise_methods import slerp
from core.diffusion.sampling.batch import Batch
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import SHORT, finish

SETTINGS = replace(SHORT, num_inference_steps=8)


@pytest.fixture(scope="module")
def made(model: LoadedModel) -> dict[str, MadeMistake]:
    return {name: finish(make_mistake(model, SETTINGS, name)) for name in MISTAKES}


def test_a_run_that_cannot_go_on_ends(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Batch, "_step_scheduler", full)
    for work in (make_mistake(model, SETTINGS, "unscaled"), attend(model, SETTINGS)):
        with pytest.raises(ModelError, match="Out of memory"):
            finish(work)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_right_picture_is_right_and_the_wrong_one_is_not(
    engine: Engine, made: dict[str, MadeMistake], name: str
) -> None:
    found = made[name]
    assert max_difference(found.right, engine.generate([found.settings], strict=True)[0].image) == 0
    assert max_difference(found.right, found.wrong) > 40
    assert found.settings.seed == SETTINGS.seed
    assert found.settings.prompt == SETTINGS.prompt


def loop(
    model: LoadedModel,
    scheduler: Any,
    latents: torch.Tensor,
    *,
    prompt: str = SETTINGS.prompt,
    scales_input: bool = True,
) -> torch.Tensor:
    """diffusers' denoising loop over a scheduler whose timesteps are set."""
    pipe = model.pipeline()
    cond, uncond = pipe.encode_prompt(prompt, "cpu", 1, True, SETTINGS.negative_prompt)
    embeds = torch.cat([uncond, cond])
    for timestep in scheduler.timesteps:
        x = torch.cat([latents, latents])
        if scales_input:
            x = scheduler.scale_model_input(x, timestep)
        one, other = model.unet(x, timestep, embeds, return_dict=False)[0].chunk(2)
        prediction = one + SETTINGS.guidance_scale * (other - one)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
    return latents


def picture(model: LoadedModel, latents: torch.Tensor, *, divides: bool = True) -> Image.Image:
    factor = model.vae.config.scaling_factor if divides else 1.0
    pixels = model.vae.decode(latents / factor, return_dict=False)[0]
    return model.pipeline().image_processor.postprocess(pixels)[0]


def noise(seed: int) -> torch.Tensor:
    return torch.randn((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(seed))


def ready(model: LoadedModel, name: str, **config: Any) -> Any:
    scheduler = model.pipeline(name).scheduler
    scheduler = type(scheduler).from_config(scheduler.config, **config)
    scheduler.set_timesteps(SETTINGS.num_inference_steps)
    return scheduler


def unscaled_input(model: LoadedModel) -> Image.Image:
    scheduler = ready(model, "Euler")
    start = noise(3) * scheduler.init_noise_sigma
    return picture(model, loop(model, scheduler, start, scales_input=False))


def unscaled(model: LoadedModel) -> Image.Image:
    return picture(model, loop(model, ready(model, "DDIM"), noise(3)), divides=False)


def shared(model: LoadedModel) -> Image.Image:
    scheduler = ready(model, "PNDM")
    loop(model, scheduler, noise(3))
    return picture(model, loop(model, scheduler, noise(3)))


def clipped(model: LoadedModel) -> Image.Image:
    return picture(model, loop(model, ready(model, "DDIM", clip_sample=True), noise(3)))


def lerp(model: LoadedModel) -> Image.Image:
    mixed = 0.5 * noise(3) + 0.5 * noise(4)
    return picture(model, loop(model, ready(model, "DDIM"), mixed))


def emptied(model: LoadedModel) -> Image.Image:
    return picture(model, loop(model, ready(model, "DDIM"), noise(3), prompt=""))


MISUSED: dict[str, Callable[[LoadedModel], Image.Image]] = {
    "unscaled input": unscaled_input,
    "unscaled": unscaled,
    "shared": shared,
    "clipped": clipped,
    "lerp": lerp,
    "emptied": emptied,
}


def test_each_is_held_against_diffusers() -> None:
    assert MISUSED.keys() == MISTAKES.keys()


@pytest.mark.parametrize("name", MISUSED)
def test_it_is_diffusers_misused(
    model: LoadedModel, made: dict[str, MadeMistake], name: str
) -> None:
    with torch.no_grad():
        assert max_difference(made[name].wrong, MISUSED[name](model)) == 0


def test_the_right_noise_of_the_straight_line_is_slerps(
    model: LoadedModel, made: dict[str, MadeMistake]
) -> None:
    mixed = slerp(noise(3), noise(4), 0.5)
    assert float(mixed.std()) == pytest.approx(1, abs=0.05)
    assert float((0.5 * noise(3) + 0.5 * noise(4)).std()) == pytest.approx(0.71, abs=0.05)
    with torch.no_grad():
        right = picture(model, loop(model, ready(model, "DDIM"), mixed))
    assert max_difference(made["lerp"].right, right) == 0


def test_the_model_works_as_before(
    model: LoadedModel, engine: Engine, made: dict[str, MadeMistake]
) -> None:
    image = engine.generate([SETTINGS], strict=True)[0].image
    settings: GenerationSettings = made["clipped"].settings
    assert settings.scheduler == "DDIM"
    assert max_difference(image, made["clipped"].right) == 0
