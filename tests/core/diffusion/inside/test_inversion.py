"""DDIM inversion: a loop on diffusers' own two schedulers, a closed form, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from core.diffusion.inside.inversion import Inversion, inversion_errors, invert
from core.diffusion.inside.inversion_walk import Walk
from core.diffusion.inside.inverting import MOST_STEPS
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import finish
from tests.core.diffusion.tiny import build

SIDE = 64
SOURCE = np.asarray(
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
)
BASE = GenerationSettings(
    prompt="a red apple",
    negative_prompt="yellow",
    width=SIDE,
    height=SIDE,
    num_inference_steps=5,
    guidance_scale=4.0,
    init_image=input_digest(SOURCE),
)
EDIT = "a blue owl"
TINY = ("SD 1.x", "SD 2.x (v-prediction)", "SDXL")


def read(digest: str) -> np.ndarray:
    assert digest == BASE.init_image
    return SOURCE


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    """Random weights: one that predicts noise, one that predicts v, and two text encoders."""
    found: dict[str, LoadedModel] = {}
    for family in (*TINY, "LCM of SD 1.x"):
        folder: Path = tmp_path_factory.mktemp("tiny") / "model"
        build(family).save_pretrained(folder)
        found[family] = load_model(str(folder), device="cpu")
    return found


@torch.no_grad()
def by_diffusers(model: LoadedModel, steps: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The latents to the noise; and from it at guidance 1, at BASE's, and with the other prompt."""
    pipe = model.pipeline("DDIM")
    cond, uncond, *pooled = _embedded(pipe, BASE.prompt)
    edited, _, *edited_pooled = _embedded(pipe, EDIT)
    ids = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]], dtype=torch.float32)

    def predict(
        x: torch.Tensor, t: Any, states: torch.Tensor, text: torch.Tensor | None
    ) -> torch.Tensor:
        added = None
        if text is not None:
            added = {"text_embeds": text, "time_ids": ids.expand(len(x), -1)}
        return model.unet(x, t, states, added_cond_kwargs=added).sample

    c, u = (pooled[0], pooled[1]) if pooled else (None, None)
    e = edited_pooled[0] if edited_pooled else None
    pixels = pipe.image_processor.preprocess(Image.fromarray(SOURCE))
    source = model.vae.encode(pixels).latent_dist.mean * model.vae.config.scaling_factor
    inverse: Any = diffusers.DDIMInverseScheduler.from_config(pipe.scheduler.config)
    inverse.set_timesteps(steps)
    latents = [source]
    for t in inverse.timesteps:
        latents.append(inverse.step(predict(latents[-1], t, cond, c), t, latents[-1]).prev_sample)
    made: list[torch.Tensor] = []
    for states, text, scale in ((cond, c, 1.0), (cond, c, 4.0), (edited, e, 4.0)):
        pipe.scheduler.set_timesteps(steps)
        x = latents[-1]
        for t in pipe.scheduler.timesteps:
            if scale > 1:
                both = None if u is None or text is None else torch.cat([u, text])
                said = predict(torch.cat([x] * 2), t, torch.cat([uncond, states]), both)
                without, said = said.chunk(2)
                said = without + scale * (said - without)
            else:
                said = predict(x, t, states, text)
            x = pipe.scheduler.step(said, t, x).prev_sample
        made.append(x)
    return latents, made


def _embedded(pipe: Any, prompt: str) -> tuple[torch.Tensor, ...]:
    """Prompt and negative prompt, and both pooled where there are two encoders."""
    return tuple(
        pipe.encode_prompt(
            prompt,
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            negative_prompt=BASE.negative_prompt,
        )
    )


@pytest.mark.parametrize("family", TINY)
def test_it_is_the_loop_of_diffusers_schedulers(family: str, tiny: dict[str, LoadedModel]) -> None:
    model = tiny[family]
    latents, made = by_diffusers(model, BASE.num_inference_steps)
    found: Inversion = finish(invert(model, BASE, read, EDIT))
    expected = torch.cat(latents).numpy()
    assert found.latents.shape == expected.shape == (6, 4, 8, 8)
    np.testing.assert_allclose(found.latents, expected, atol=1e-5 * np.abs(expected).max())
    assert np.array_equal(found.noise, found.latents[-1])
    rms = [float((one - latents[0]).square().mean().sqrt()) for one in made]
    assert found.error.rms_unguided == pytest.approx(rms[0], rel=1e-3)
    assert found.error.rms_guided == pytest.approx(rms[1], rel=1e-3)
    walk = Walk(model, BASE, read)
    ways = walk.way(1.0), walk.way(4.0), walk.way(4.0, EDIT)
    for way, other in zip(ways, made, strict=True):
        # By itself: five rows of one call are summed in another order.
        (own,) = finish_plain(walk.back([way], latents[-1], BASE.num_inference_steps))
        scale = float(other.abs().max())
        np.testing.assert_allclose(own.numpy(), other.numpy(), atol=1e-5 * scale)
    assert found.edited is not None
    pictures = (found.unguided, found.guided, found.edited)
    for picture, other in zip(pictures, made, strict=True):
        assert max_difference(picture, walk.picture(other)) <= 1


def finish_plain(work: Any) -> list[torch.Tensor]:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_break_is_chunks_of_one_text_and_the_edit_may_be_shorter(model: LoadedModel) -> None:
    """Two equal chunks are attended to as one is: each token twice, at half the weight."""
    parts = "a red apple BREAK a red apple"
    plain: Inversion = finish(invert(model, BASE, read, EDIT))
    twice: Inversion = finish(invert(model, replace(BASE, prompt=parts), read, EDIT))
    np.testing.assert_allclose(twice.latents, plain.latents, atol=2e-4)
    assert plain.edited is not None
    assert twice.edited is not None
    for one, other in ((plain.guided, twice.guided), (plain.edited, twice.edited)):
        assert max_difference(one, other) <= 2
    other: Inversion = finish(invert(model, replace(BASE, prompt="a red BREAK apple"), read))
    assert np.abs(other.latents - plain.latents).max() > 0.01, "its chunks are read apart"


class Constant(torch.nn.Module):
    """A UNet that says the same of everything."""

    def __init__(self, like: Any) -> None:
        super().__init__()
        self.config, self.said = like.config, 0.3
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def forward(self, sample: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor]:
        return (torch.full_like(sample, self.said),)


def test_of_a_constant_prediction_nothing_is_lost(model: LoadedModel) -> None:
    """x / sqrt(abar) moves by the prediction times the difference of sigma: DDIM's ODE."""
    constant = replace(model, unet=Constant(model.unet))
    found = finish(invert(constant, BASE, read))
    scheduler: Any = diffusers.DDIMScheduler.from_config(model.info.scheduler_config)
    abar = scheduler.alphas_cumprod.double()
    first, last = float(abar[0]), float(abar[found.timesteps[-1]])
    moved = 0.3 * (math.sqrt(1 / last - 1) - math.sqrt(1 / first - 1))
    expected = math.sqrt(last) * (found.latents[0] / math.sqrt(first) + moved)
    np.testing.assert_allclose(found.noise, expected, atol=2e-5)
    assert found.error.rms_unguided < 1e-5
    assert found.error.rms_guided < 1e-5
    assert found.error.psnr_unguided > 60
    assert found.edited is None


def test_errors_are_those_of_each_number_of_steps(model: LoadedModel) -> None:
    three, five = finish(inversion_errors(model, BASE, read, [3, 5]))
    assert (three.steps, five.steps) == (3, 5)
    alone = finish(invert(model, BASE, read)).error
    assert five.rms_guided == pytest.approx(alone.rms_guided, rel=1e-4)
    assert five.psnr_unguided == pytest.approx(alone.psnr_unguided, rel=1e-2)
    assert three.rms_unguided > five.rms_unguided


def test_what_has_no_part_in_it_changes_nothing(model: LoadedModel) -> None:
    plain = finish(invert(model, replace(BASE, num_inference_steps=2), read))
    other = replace(
        BASE,
        num_inference_steps=2,
        scheduler="Euler a",
        seed=9,
        strength=0.2,
        guidance_end=0.5,
        eta=0.5,
        mask_image="ab" * 32,
        posterior="sample",
    )
    found = finish(invert(model, other, read))
    assert np.array_equal(found.latents, plain.latents)
    assert np.array_equal(np.asarray(found.guided), np.asarray(plain.guided))


def test_every_reason_is_given_at_once(tiny: dict[str, LoadedModel]) -> None:
    bad = replace(BASE, init_image="", num_inference_steps=MOST_STEPS + 1)
    with pytest.raises(SettingsError) as error:
        next(invert(tiny["LCM of SD 1.x"], bad, read))
    assert {one.field for one in error.value.problems} == {
        "model",
        "init_image",
        "num_inference_steps",
    }
