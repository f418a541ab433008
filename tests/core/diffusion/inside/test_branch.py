"""A branch of a run: exact where nothing changes, and what plain diffusers gives where it does."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.utils import torch_utils

from core.diffusion.inside.anatomy import Change
from core.diffusion.inside.branch import branch
from core.diffusion.inside.unrolled import unroll
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.inside import taken_apart
from tests.core.diffusion.inside.taken_apart import finish

SHORT, UNGUIDED = (
    replace(settings, width=64, height=64) for settings in (taken_apart.SHORT, taken_apart.UNGUIDED)
)


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.mark.parametrize("name", SCHEDULERS)
def test_without_a_change_it_is_the_run(model: LoadedModel, name: str) -> None:
    settings = replace(SHORT, scheduler=name)
    run = finish(unroll(model, settings))
    same = Change(start=2, prompt=SHORT.prompt, guidance_scale=5.0, scheduler=name)
    for change in (Change(start=3), same, Change(start=1, end=4, guidance_scale=5.0)):
        future = finish(branch(model, settings, change))
        assert max_difference(future.image, run.image) == 0
        assert np.array_equal(future.x0, run.x0)
        assert future.bridged is None


@pytest.mark.parametrize("name", ["DDIM", "DPM++ 2M", "Euler a", "Heun"])
def test_up_to_the_change_it_is_the_run_and_from_there_it_is_not(
    model: LoadedModel, name: str
) -> None:
    settings = replace(SHORT, scheduler=name)
    run = finish(unroll(model, settings))
    for change in (
        Change(start=3, prompt="an owl"),
        Change(start=3, guidance_scale=1.0),
        Change(start=3, negative_prompt="red"),
        Change(start=3, scheduler="UniPC"),
    ):
        future = finish(branch(model, settings, change))
        assert future.shared == 3
        assert np.array_equal(future.x0[:3], run.x0[:3]), change
        assert not np.array_equal(future.x0[3], run.x0[3]) or change.scheduler, change
        assert max_difference(future.image, run.image) > 0, change


def by_hand(model: LoadedModel, settings: GenerationSettings, at_call: Any) -> torch.Tensor:
    """diffusers' loop, whose prompt and guidance are asked for at every call."""
    pipe = model.pipeline(settings.scheduler)
    scheduler = pipe.scheduler
    scheduler.set_timesteps(settings.num_inference_steps)
    generator = torch.Generator("cpu").manual_seed(settings.seed)
    latents = torch.randn((1, 4, 8, 8), generator=generator) * scheduler.init_noise_sigma
    with torch.no_grad():
        for call, timestep in enumerate(scheduler.timesteps):
            prompt, guidance = at_call(call)
            cond, uncond = pipe.encode_prompt(prompt, "cpu", 1, True, settings.negative_prompt)
            x = scheduler.scale_model_input(latents, timestep)
            if guidance > 1:
                embeds = torch.cat([uncond, cond])
                out = model.unet(torch.cat([x, x]), timestep, embeds, return_dict=False)[0]
                one, other = out.chunk(2)
                prediction = one + guidance * (other - one)
            else:
                prediction = model.unet(x, timestep, cond, return_dict=False)[0]
            latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
    return latents[0]


@pytest.mark.parametrize("name", ["DDIM", "DPM++ 2M", "Euler"])
def test_a_prompt_switch_is_what_diffusers_gives(model: LoadedModel, name: str) -> None:
    settings = replace(SHORT, scheduler=name)
    change = Change(start=2, end=5, prompt="a yellow cat")
    future = finish(branch(model, settings, change))

    def at_call(call: int) -> tuple[str, float]:
        return ("a yellow cat" if 2 <= call < 5 else SHORT.prompt), 5.0

    assert np.array_equal(future.latents, by_hand(model, settings, at_call).numpy())


def test_a_guidance_interval_is_what_diffusers_gives(model: LoadedModel) -> None:
    """Kynkaanniemi et al. 2024: guidance within an interval only, and none outside it."""
    future = finish(branch(model, UNGUIDED, Change(start=1, end=4, guidance_scale=8.0)))

    def at_call(call: int) -> tuple[str, float]:
        return SHORT.prompt, 8.0 if 1 <= call < 4 else 1.0

    assert np.array_equal(future.latents, by_hand(model, UNGUIDED, at_call).numpy())


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_new_scheduler_at_the_first_call_is_its_own_run(model: LoadedModel, name: str) -> None:
    future = finish(branch(model, SHORT, Change(start=0, scheduler=name)))
    run = finish(unroll(model, replace(SHORT, scheduler=name)))
    assert max_difference(future.image, run.image) == 0


def test_euler_takes_over_from_ddim_at_its_own_level(model: LoadedModel) -> None:
    """The two are one method in other coordinates: the future stays what it was."""
    run = finish(unroll(model, SHORT))
    future = finish(branch(model, SHORT, Change(start=3, scheduler="Euler")))
    assert future.bridged is None
    assert len(future.sigmas) == run.calls
    assert np.allclose(future.sigmas, run.sigmas[:-1], rtol=1e-3)
    assert np.abs(future.x0 - run.x0).max() < 1e-4, "the same latents, seen at the same levels"
    # DDIM stops at the first training step's noise (sigma 0.029), Euler at none: at the last x0.
    assert np.abs(future.latents - run.x0[-1]).max() < 1e-4


LONG = replace(taken_apart.SHORT, scheduler="DPM++ 2M", num_inference_steps=20)


@pytest.fixture(scope="module")
def long_run(bundled: LoadedModel) -> Any:
    return finish(unroll(bundled, LONG))


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != LONG.scheduler])
def test_every_scheduler_can_take_over(bundled: LoadedModel, long_run: Any, name: str) -> None:
    """From one whose levels lie elsewhere; the picture stays near, since the ODE is the same."""
    run = long_run
    future = finish(branch(bundled, LONG, Change(start=9, scheduler=name)))
    levels = future.sigmas[9:]
    assert levels[0] == pytest.approx(run.sigmas[9], rel=2e-3), "it goes on at the level it is at"
    assert max(levels) <= run.sigmas[9] * 1.001
    assert np.array_equal(future.x0[:9], run.x0[:9])
    near = np.sqrt(np.square(future.latents - run.latents[-1]).mean())
    row = SCHEDULERS[name]
    assert near < (1.0 if row.stochastic or row.distilled_only else 0.25), near


def test_the_plain_step_to_a_new_level_is_ddims(model: LoadedModel) -> None:
    """From DPM++ 2M to DDIM, computed again from the run's own tensors."""
    settings = replace(SHORT, scheduler="DPM++ 2M", num_inference_steps=10)
    run = finish(unroll(model, settings))
    future = finish(branch(model, settings, Change(start=4, scheduler="DDIM")))
    assert future.bridged is not None
    here, there = future.bridged
    assert here == run.sigmas[4]
    assert there == future.sigmas[5]
    alpha, alpha_there = (1 + here**2) ** -0.5, (1 + there**2) ** -0.5
    eps = (run.x_vp[4] - alpha * run.x0[4]) / (alpha * here)
    x = torch.from_numpy(alpha_there * run.x0[4] + alpha_there * there * eps)[None]
    pipe = model.pipeline("DDIM")
    pipe.scheduler.set_timesteps(10)
    abar = pipe.scheduler.alphas_cumprod
    left = [
        t for t in pipe.scheduler.timesteps if ((1 - abar[t]) / abar[t]) ** 0.5 <= there * 1.001
    ]
    cond, uncond = pipe.encode_prompt(SHORT.prompt, "cpu", 1, True, SHORT.negative_prompt)
    with torch.no_grad():
        for t in left:
            out = model.unet(torch.cat([x, x]), t, torch.cat([uncond, cond]))[0]
            one, other = out.chunk(2)
            x = pipe.scheduler.step(one + 5.0 * (other - one), t, x).prev_sample
    assert np.abs(future.latents - x[0].numpy()).max() < 1e-4


def test_calls_that_do_not_exist_are_refused(model: LoadedModel) -> None:
    for change in (Change(start=6), Change(start=-1), Change(start=3, end=3)):
        with pytest.raises(SettingsError, match="no calls of a run that has 6"):
            next(branch(model, SHORT, change))


def test_settings_that_cannot_run_are_refused(model: LoadedModel) -> None:
    with pytest.raises(SettingsError, match="guidance_scale"):
        next(branch(model, SHORT, Change(start=2, guidance_scale=1e9)))


STOCHASTIC = [name for name, row in SCHEDULERS.items() if row.stochastic and not row.distilled_only]


@pytest.mark.parametrize("name", STOCHASTIC)
@pytest.mark.parametrize("before", ["DDIM", "Heun", "Euler a"])
def test_no_noise_is_drawn_twice(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, before: str, name: str
) -> None:
    """All draws of both schedulers, in order, are those of one generator after the first noise."""
    if before == name:
        return
    drawn: list[torch.Tensor] = []
    original = torch_utils.randn_tensor

    def spy(*args: Any, **kwargs: Any) -> torch.Tensor:
        drawn.append(original(*args, **kwargs))
        return drawn[-1]

    for row in SCHEDULERS.values():
        module = importlib.import_module(type(row.build(model.info.scheduler_config)).__module__)
        if hasattr(module, "randn_tensor"):
            monkeypatch.setattr(module, "randn_tensor", spy)
    finish(branch(model, replace(SHORT, scheduler=before), Change(start=3, scheduler=name)))
    generator = torch.Generator("cpu").manual_seed(SHORT.seed)
    torch.randn((1, 4, 8, 8), generator=generator)
    assert drawn
    for one in drawn:
        assert torch.equal(one, torch.randn((1, 4, 8, 8), generator=generator))


def test_a_handover_between_stochastic_schedulers_is_what_diffusers_gives(
    model: LoadedModel,
) -> None:
    """Euler a for three steps, then DPM2 a at the same level, in a plain loop of one generator."""
    settings = replace(SHORT, scheduler="Euler a", guidance_scale=1.0)
    future = finish(branch(model, settings, Change(start=3, scheduler="DPM2 a")))
    assert future.bridged is None
    pipe = model.pipeline("Euler a")
    cond, _ = pipe.encode_prompt(SHORT.prompt, "cpu", 1, False)
    generator = torch.Generator("cpu").manual_seed(SHORT.seed)
    first, second = pipe.scheduler, model.pipeline("DPM2 a").scheduler
    for scheduler in (first, second):
        scheduler.set_timesteps(6)
    latents = torch.randn((1, 4, 8, 8), generator=generator) * first.init_noise_sigma
    second.set_begin_index(6)
    with torch.no_grad():
        for scheduler, times in ((first, first.timesteps[:3]), (second, second.timesteps[6:])):
            for timestep in times:
                x = scheduler.scale_model_input(latents, timestep)
                prediction = model.unet(x, timestep, cond, return_dict=False)[0]
                step = scheduler.step(prediction, timestep, latents, generator=generator)
                latents = step.prev_sample
    assert np.abs(future.latents - latents[0].numpy()).max() < 1e-4
