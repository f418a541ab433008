"""Every way to guide, against diffusers' guiders, its PAG pipelines and independent loops."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import (
    StableDiffusionPAGPipeline,
)
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    ClassifierFreeGuidance,
    ClassifierFreeZeroStarGuidance,
)

from core.diffusion.engine import Engine
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import METHODS, guided_calls
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.settings import GenerationSettings
from core.sweeps.work import runs_of
from tests.conftest import max_difference

BASE = GenerationSettings(
    prompt="a red apple on a table",
    negative_prompt="blue",
    seed=5,
    width=64,
    height=64,
    num_inference_steps=7,
    guidance_scale=5.0,
    scheduler="DDIM",
)


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Every guider of diffusers logs that it is an experiment."""
    logging.getLogger("diffusers").setLevel(logging.ERROR)


def guider_of(settings: GenerationSettings) -> Any:
    """diffusers' own guider of these settings."""
    shared = {
        "guidance_scale": settings.guidance_scale,
        "guidance_rescale": settings.guidance_rescale,
        "start": settings.guidance_start,
        "stop": settings.guidance_end,
    }
    if settings.guidance_method == "APG":
        return AdaptiveProjectedGuidance(
            adaptive_projected_guidance_momentum=settings.apg_momentum,
            adaptive_projected_guidance_rescale=settings.apg_norm_threshold,
            eta=settings.apg_eta,
            **shared,
        )
    if settings.guidance_method == "CFG-Zero*":
        return ClassifierFreeZeroStarGuidance(zero_init_steps=settings.zero_init_steps, **shared)
    return ClassifierFreeGuidance(**shared)


def embeddings(pipe: Any, settings: GenerationSettings) -> tuple[torch.Tensor, torch.Tensor]:
    return pipe.encode_prompt(
        settings.prompt, "cpu", 1, True, negative_prompt=settings.negative_prompt
    )


def first_noise(pipe: Any, settings: GenerationSettings) -> torch.Tensor:
    factor = pipe.vae_scale_factor
    shape = (1, 4, settings.height // factor, settings.width // factor)
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(settings.seed))


@torch.no_grad()
def by_guider(model: LoadedModel, settings: GenerationSettings) -> torch.Tensor:
    """The loop of diffusers' modular pipelines, with its guider: the final latents."""
    pipe, guider = model.pipeline(settings.scheduler), guider_of(settings)
    cond, uncond = embeddings(pipe, settings)
    pipe.scheduler.set_timesteps(settings.num_inference_steps)
    latents = first_noise(pipe, settings) * pipe.scheduler.init_noise_sigma
    timesteps = pipe.scheduler.timesteps
    for step, timestep in enumerate(timesteps):
        guider.set_state(step=step, num_inference_steps=len(timesteps), timestep=timestep)
        guider.prepare_inputs({"given": (cond, uncond)})
        x = pipe.scheduler.scale_model_input(latents, timestep)
        if guider.num_conditions == 2:
            both = pipe.unet(torch.cat([x] * 2), timestep, torch.cat([uncond, cond])).sample
            pred = guider.forward(*reversed(both.chunk(2))).pred
        else:
            pred = guider.forward(pipe.unet(x, timestep, cond).sample).pred
        latents = pipe.scheduler.step(pred, timestep, latents, return_dict=False)[0]
    return latents


def strict(model: LoadedModel, settings: GenerationSettings) -> torch.Tensor:
    """The engine's final latents in strict mode."""
    batch = Batch(model, max_rows=3)
    cell = batch.admit(settings, strict=True, record="none")
    while not cell.is_done:
        batch.step()
    return cell.latents


WAYS: dict[str, dict[str, Any]] = {
    "an interval": {"guidance_start": 0.2, "guidance_end": 0.7},
    "from the start to 0.5": {"guidance_end": 0.5},
    "an interval between two calls": {"guidance_start": 0.3, "guidance_end": 0.4},
    "below 1": {"guidance_scale": 0.5, "guidance_below_1": True},
    "0": {"guidance_scale": 0.0, "guidance_below_1": True},
    "APG": {"guidance_method": "APG"},
    "APG that acts in each of its parts": {
        "guidance_method": "APG",
        "apg_norm_threshold": 2.0,
        "apg_eta": 0.3,
        "apg_momentum": -0.75,
        "guidance_rescale": 0.4,
    },
    "APG without threshold and momentum": {
        "guidance_method": "APG",
        "apg_norm_threshold": 0.0,
        "apg_momentum": 0.0,
    },
    "APG in an interval": {"guidance_method": "APG", "guidance_start": 0.3, "guidance_end": 0.9},
    "CFG-Zero*": {"guidance_method": "CFG-Zero*", "guidance_rescale": 0.5},
    "CFG-Zero* from nothing": {"guidance_method": "CFG-Zero*", "zero_init_steps": 2},
    "CFG-Zero* in an interval": {
        "guidance_method": "CFG-Zero*",
        "guidance_start": 0.5,
        "zero_init_steps": 1,
    },
}


@pytest.mark.parametrize("scheduler", ["DDIM", "DPM++ 2M", "Heun"])
@pytest.mark.parametrize("way", WAYS)
def test_strict_mode_is_diffusers_guider_to_the_last_bit(
    way: str, scheduler: str, model: LoadedModel
) -> None:
    settings = replace(BASE, scheduler=scheduler, **WAYS[way])
    settings.require_valid()
    expected = by_guider(model, settings)
    assert torch.equal(strict(model, settings), expected)
    assert not torch.equal(strict(model, replace(BASE, scheduler=scheduler)), expected)


@pytest.mark.parametrize("scale", [5.0, 1.0])
@pytest.mark.parametrize(
    ("scheduler", "layers"), [("DDIM", "mid"), ("Euler", "down"), ("UniPC", "up"), ("DPM2", "up")]
)
def test_strict_pag_is_diffusers_pipeline(
    scheduler: str, layers: str, scale: float, model: LoadedModel
) -> None:
    settings = replace(
        BASE, scheduler=scheduler, guidance_scale=scale, guidance_method="PAG", pag_layers=layers
    )
    pipe = as_pag(model, settings, StableDiffusionPAGPipeline)
    image = pipe(
        settings.prompt,
        negative_prompt=settings.negative_prompt,
        width=settings.width,
        height=settings.height,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=scale,
        pag_scale=settings.pag_scale,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
    ).images[0]
    own = Engine(model).generate([settings], strict=True)[0].image
    assert max_difference(own, image) == 0
    plain = Engine(model).generate([replace(settings, guidance_method="CFG")], strict=True)[0]
    assert max_difference(plain.image, image) > 3


def as_pag(model: LoadedModel, settings: GenerationSettings, kind: Any) -> Any:
    """A PAG pipeline over the model's parts; it changes the UNet's processors, and puts them back
    when its call ends.
    """
    parts = {
        name: part
        for name, part in model.pipeline(settings.scheduler).components.items()
        if name != "image_encoder"
    }
    pipe = kind(**parts, requires_safety_checker=False, pag_applied_layers=settings.pag_layers)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
@pytest.mark.parametrize("scheduler", METHODS["CFG++"].schedulers)
@pytest.mark.parametrize("scale", [0.0, 0.6, 1.0, 2.0])
def test_cfg_pp_is_algorithm_2_of_its_paper(
    scheduler: str, scale: float, model: LoadedModel
) -> None:
    """Chung et al. 2024, in alpha-bar alone: x0 of the guided noise, and the unconditional noise on
    top. Euler's is the same step in its own coordinates, x / sqrt(abar).
    """
    settings = replace(BASE, scheduler=scheduler, guidance_method="CFG++", guidance_scale=scale)
    pipe = model.pipeline(scheduler)
    cond, uncond = embeddings(pipe, settings)
    pipe.scheduler.set_timesteps(settings.num_inference_steps)
    timesteps = pipe.scheduler.timesteps
    if scheduler == "DDIM":
        following = [*timesteps[1:].tolist(), -1]
        abars = [float(pipe.scheduler.alphas_cumprod[int(t)]) for t in timesteps]
        abars += [float(pipe.scheduler.final_alpha_cumprod)]
        assert following[-1] == -1
    else:
        abars = [1 / (1 + float(sigma) ** 2) for sigma in pipe.scheduler.sigmas]
    x = first_noise(pipe, settings).double()
    if scheduler == "Euler":  # it begins with noise of its first sigma, and no signal
        x = x * pipe.scheduler.init_noise_sigma * abars[0] ** 0.5
    for timestep, abar, then in zip(timesteps, abars, abars[1:], strict=False):
        given = torch.cat([x.float()] * 2)
        eps_uncond, eps_cond = (
            pipe.unet(given, timestep, torch.cat([uncond, cond])).sample.double().chunk(2)
        )
        eps = eps_uncond + scale * (eps_cond - eps_uncond)
        x0 = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
        x = then**0.5 * x0 + (1 - then) ** 0.5 * eps_uncond
    own = strict(model, settings)
    assert torch.allclose(own.double(), x, atol=2e-3), float((own - x).abs().max())
    plain = strict(model, replace(settings, guidance_method="CFG", guidance_below_1=True))
    # At 0 both are the unconditional picture.
    assert (float((plain - x).abs().max()) > 0.05) == (scale > 0)


def test_all_methods_share_a_batch(model: LoadedModel) -> None:
    """Beside each other they come out as alone, but for the order of floating-point sums."""
    cells = [
        replace(BASE, **way)
        for way in (
            {},
            {"guidance_scale": 1.0},
            WAYS["an interval"],
            WAYS["APG in an interval"],
            WAYS["CFG-Zero* from nothing"],
            {"guidance_method": "CFG++", "guidance_scale": 0.6},
            {"guidance_method": "PAG"},
            {"guidance_method": "PAG", "pag_layers": "up"},
            {"guidance_method": "PAG", "pag_scale": 0.0},
            {"guidance_method": "PAG", "guidance_scale": 1.0, "guidance_end": 0.5},
        )
    ]
    engine = Engine(model)
    together = engine.generate(cells)
    for settings, found in zip(cells, together, strict=True):
        alone = engine.generate([settings], strict=True)[0]
        assert max_difference(found.image, alone.image) <= 3, settings
    assert max(one.computed.rows for one in together if one.computed) > 12


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.2, 0.7), (0.5, 0.5), (0.0, 0.3)])
@pytest.mark.parametrize("name", ["CFG", "PAG"])
def test_a_plan_counts_the_rows_that_the_unet_gets(
    name: str, start: float, end: float, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(BASE, guidance_method=name, guidance_start=start, guidance_end=end)
    rows: list[int] = []
    plain = model.unet.forward

    def counted(sample: torch.Tensor, *given: Any, **options: Any) -> Any:
        rows.append(len(sample))
        return plain(sample, *given, **options)

    monkeypatch.setattr(model.unet, "forward", counted)
    found = Engine(model).generate([settings], strict=True)[0]
    assert [(settings, sum(rows))] == runs_of([settings], {settings.model: model.info})
    assert found.trajectory is not None
    acts = guided_calls(settings, 7)
    for index, record in enumerate(found.trajectory.records):
        assert (record.guidance_gap is not None) == (index in acts)
        assert (record.std_inflation is not None) == (index in acts)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.29, 0.58), (0.1, 0.1), (0.33, 0.34)])
@pytest.mark.parametrize("calls", [1, 7, 50, 100])
def test_the_guided_calls_are_those_of_diffusers_guiders(
    start: float, end: float, calls: int
) -> None:
    guider = ClassifierFreeGuidance(guidance_scale=5.0, start=start, stop=end)
    found: list[int] = []
    for step in range(calls):
        guider.set_state(step=step, num_inference_steps=calls, timestep=torch.tensor(0))
        if guider.num_conditions == 2:
            found.append(step)
    settings = replace(BASE, guidance_start=start, guidance_end=end)
    assert list(guided_calls(settings, calls)) == found


@pytest.mark.parametrize(
    "nowhere", [{"guidance_scale": 1.0}, {"guidance_end": 0.1}, {"guidance_start": 1.0}]
)
def test_where_guidance_acts_nowhere_no_method_does(
    nowhere: dict[str, float], model: LoadedModel
) -> None:
    """Nor does zero-init: equal digests are equal pixels."""
    unguided = replace(BASE, guidance_scale=1.0)
    for way in ({"guidance_method": "CFG-Zero*", "zero_init_steps": 2}, {"guidance_method": "APG"}):
        settings = replace(BASE, **way, **nowhere)
        assert settings.digest("m") == unguided.digest("m")
        assert torch.equal(strict(model, settings), strict(model, unguided))


def test_what_does_not_go_together_is_said() -> None:
    upside_down = replace(BASE, guidance_start=0.8, guidance_end=0.2).validate()
    assert [(one.field, one.reason) for one in upside_down] == [
        ("guidance_end", "0.2 lies before the start, 0.8")
    ]
    for scheduler in SCHEDULERS:
        found = replace(BASE, scheduler=scheduler, guidance_method="CFG++").validate()
        assert [one.field for one in found] == ["guidance_method"] * (
            scheduler not in ("DDIM", "Euler")
        )
    noisy = replace(BASE, eta=0.5, guidance_method="CFG++").validate()
    assert ["fresh noise" in one.reason for one in noisy] == [True]
    unknown = replace(BASE, guidance_method="SAG").validate()
    assert [one.field for one in unknown] == ["guidance_method"]


def test_settings_that_change_nothing_are_the_same_image() -> None:
    """What the method does not read, what comes too late, and what is off."""
    same = [
        (BASE, replace(BASE, apg_eta=0.7, pag_scale=1.0, zero_init_steps=3)),
        (BASE, replace(BASE, guidance_below_1=True)),
        (BASE, replace(BASE, guidance_method="PAG", pag_scale=0.0)),
        (replace(BASE, guidance_scale=1.0), replace(BASE, guidance_scale=0.5)),
        (replace(BASE, guidance_scale=1.0), replace(BASE, guidance_start=1.0)),
        (replace(BASE, guidance_scale=1.0), replace(BASE, guidance_end=0.0)),
        (
            replace(BASE, guidance_scale=1.0),
            replace(BASE, guidance_scale=1.0, guidance_method="APG", guidance_start=0.5),
        ),
    ]
    seven = BASE.num_inference_steps
    same += [
        (replace(BASE, guidance_start=0.3), replace(BASE, guidance_start=2 / seven + 0.01)),
        (replace(BASE, guidance_start=0.1), BASE),
        (replace(BASE, guidance_start=0.3, guidance_end=0.4), replace(BASE, guidance_scale=1.0)),
        (replace(BASE, guidance_method="PAG", guidance_end=0.1), replace(BASE, guidance_scale=1.0)),
    ]
    for one, other in same:
        assert one.digest("m") == other.digest("m"), other
    picture = replace(BASE, init_image="5e" * 32, strength=0.5)  # three of the seven calls
    assert replace(picture, guidance_end=0.5).digest("m") != picture.digest("m")
    assert replace(picture, guidance_start=0.3).digest("m") == picture.digest("m")
    different = [
        replace(BASE, guidance_start=0.2),
        replace(BASE, guidance_end=0.8),
        replace(BASE, guidance_scale=0.5, guidance_below_1=True),
        *(replace(BASE, guidance_method=name) for name in METHODS),
        replace(BASE, guidance_method="PAG", guidance_scale=1.0),
    ]
    assert len({one.digest("m") for one in different}) == len(different)
