"""What a sampler is made of: each combination is diffusers' own picture, or is refused in words."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine, GenerationError
from core.diffusion.models.load import load_model
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.sampler import AUTOMATIC, SIGMA_SCHEDULES, SPACINGS, sampler_of
from core.diffusion.recipe.schedule import call_sigmas
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference
from tests.core.diffusion.tiny import build

PLAIN = GenerationSettings(
    prompt="a red apple", width=64, height=64, seed=5, num_inference_steps=4, guidance_scale=3.0
)
FLAGS = {
    "karras": "use_karras_sigmas",
    "exponential": "use_exponential_sigmas",
    "beta": "use_beta_sigmas",
}
WHOLE = os.environ.get("LIGHTBOX_PARITY") == "whole"
IN_CI, STEPPED_IN_CI = 5, 30
"""Combinations of a scheduler, as pictures and as steps alone; `make parity` has all."""
CONFIGURATION = ("timestep_spacing", "solver_order", "solver_type", "final_sigmas_type")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    build("SD 1.x").save_pretrained(folder)
    return folder


def options_of(settings: GenerationSettings) -> dict[str, Any]:
    """Our settings as diffusers' configuration, written down once more."""
    found: dict[str, Any] = {}
    if settings.sigma_schedule != AUTOMATIC:
        found = {flag: name == settings.sigma_schedule for name, flag in FLAGS.items()}
    for name in CONFIGURATION:
        if getattr(settings, name) not in (AUTOMATIC, 0):
            found[name] = getattr(settings, name)
    if not settings.lower_order_final:
        found["lower_order_final"] = False
    if settings.rescale_betas_zero_snr:
        found["rescale_betas_zero_snr"] = True
    return found


def combinations(name: str) -> Iterator[GenerationSettings]:
    """Every schedule, spacing, order and type of a scheduler, and each end, allowed or not."""
    orders = (0, 1, 2, 3) if SCHEDULERS[name].orders else (0,)
    types = (AUTOMATIC, *SCHEDULERS[name].solver_types)
    for schedule, spacing, order, kind in itertools.product(
        SIGMA_SCHEDULES, (AUTOMATIC, *SPACINGS), orders, types
    ):
        yield replace(
            PLAIN,
            scheduler=name,
            sigma_schedule=schedule,
            timestep_spacing=spacing,
            solver_order=order,
            solver_type=kind,
        )
    one = replace(PLAIN, scheduler=name)
    for final, lower, zero in itertools.product(
        (AUTOMATIC, "zero", "sigma_min"), (True, False), (False, True)
    ):
        for kind in types:
            yield replace(
                one,
                final_sigmas_type=final,
                lower_order_final=lower,
                rescale_betas_zero_snr=zero,
                solver_type=kind,
            )


def some(allowed: list[GenerationSettings], count: int) -> list[GenerationSettings]:
    """All of them in the long form, else this many, always the same."""
    name = allowed[0].scheduler
    return allowed if WHOLE else random.Random(name).sample(allowed, min(len(allowed), count))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_strict_is_diffusers_own_picture_in_every_combination(name: str, tiny: Path) -> None:
    engine = Engine(load_model(str(tiny), device="cpu"))
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(tiny, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    cls = getattr(diffusers, SCHEDULERS[name].class_name)
    own = dict(SCHEDULERS[name].config)
    plain, seen = pipe.scheduler.config, 0
    allowed = some([one for one in dict.fromkeys(combinations(name)) if not one.validate()], IN_CI)
    for settings in allowed:
        pipe.scheduler = cls.from_config(plain, **own | options_of(settings))
        expected = pipe(
            settings.prompt,
            width=64,
            height=64,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
        ).images[0]
        ours = engine.generate([settings], strict=True, record="none")[0].image
        assert max_difference(ours, expected) == 0, settings
        seen += 1
    print(f"{name}: {seen} combinations")
    assert seen == len(allowed) > 0


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_is_allowed_is_finite_and_what_is_refused_says_why(
    name: str, model: LoadedModel
) -> None:
    """The scheduler alone, fed with a bounded prediction, of one, three and eight steps."""
    config = model.info.scheduler_config
    allowed: list[GenerationSettings] = []
    for settings in dict.fromkeys(combinations(name)):
        problems = settings.validate()
        assert all(len(problem.reason) > 20 for problem in problems)
        if not problems:
            allowed.append(settings)
    for settings in some(allowed, STEPPED_IN_CI):
        for steps in (1, 3, 8):
            scheduler = sampler_of(settings).build(config)
            scheduler.set_timesteps(steps)
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(1, 4, 4, 4, generator=generator) * scheduler.init_noise_sigma
            draws = "generator" in inspect.signature(scheduler.step).parameters
            extra = {"generator": generator} if draws else {}
            if any(map(math.isinf, call_sigmas(sampler_of(settings), scheduler))):
                continue  # only where the last timestep is reached: the engine refuses it
            for timestep in scheduler.timesteps:
                prediction = torch.tanh(scheduler.scale_model_input(x, timestep))
                x = scheduler.step(prediction, timestep, x, **extra, return_dict=False)[0]
            assert torch.isfinite(x).all(), (settings, steps)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_table_names_what_the_class_takes(name: str) -> None:
    row = SCHEDULERS[name]
    parameters = inspect.signature(getattr(diffusers, row.class_name).__init__).parameters
    for option in ("timestep_spacing", "final_sigmas_type", "rescale_betas_zero_snr"):
        if name != "LCM":  # which reads no spacing, and divides by zero at zero SNR
            assert (option in row.takes) == (option in parameters), option
    if not row.distilled_only:
        assert ("sigma_schedule" in row.takes) == ("use_karras_sigmas" in parameters)
        assert bool(row.orders) == ("solver_order" in parameters)


def test_karras_by_its_setting_is_the_scheduler_of_that_name() -> None:
    named = replace(PLAIN, scheduler="DPM++ 2M Karras")
    chosen = replace(PLAIN, scheduler="DPM++ 2M", sigma_schedule="karras")
    assert chosen.digest("m") == named.digest("m")
    assert replace(named, sigma_schedule="karras").digest("m") == named.digest("m")
    other = replace(named, sigma_schedule="beta")
    assert other.digest("m") == replace(chosen, sigma_schedule="beta").digest("m")
    assert other.digest("m") != named.digest("m")
    assert replace(PLAIN, solver_order=2).digest("m") == PLAIN.digest("m"), "its own order"


def test_eta_goes_from_the_ode_to_the_sde(engine: Engine, model: LoadedModel) -> None:
    """DDIM's is diffusers' own; Euler a at 0 is Euler, and at 1 diffusers' Euler a."""
    pipe = model.pipeline("DDIM")
    pipe.set_progress_bar_config(disable=True)
    for eta in (0.0, 0.4, 1.0):
        settings = replace(PLAIN, scheduler="DDIM", eta=eta)
        expected = pipe(
            settings.prompt,
            width=64,
            height=64,
            num_inference_steps=4,
            guidance_scale=3.0,
            eta=eta,
            generator=torch.Generator("cpu").manual_seed(5),
        ).images[0]
        ours = engine.generate([settings], strict=True, record="none")[0].image
        assert max_difference(ours, expected) == 0, eta

    def euler_a(eta: float) -> Any:
        one = replace(PLAIN, scheduler="Euler a", eta=eta)
        return engine.generate([one], strict=True, record="none")[0].image

    plain, ode = (
        engine.generate([replace(PLAIN, scheduler=name)], strict=True, record="none")[0].image
        for name in ("Euler a", "Euler")
    )
    assert max_difference(euler_a(1.0), plain) == 0
    assert max_difference(euler_a(0.0), ode) <= 1
    assert replace(PLAIN, scheduler="Euler a", eta=1.0).digest("m") == replace(
        PLAIN, scheduler="Euler a"
    ).digest("m")


@torch.no_grad()
def test_euler_a_with_half_its_noise_is_the_independent_loop(
    engine: Engine, model: LoadedModel
) -> None:
    """k-diffusion's get_ancestral_step, in float64."""
    eta, steps = 0.5, 6
    pipe = model.pipeline("Euler a")
    cond, uncond = pipe.encode_prompt(PLAIN.prompt, "cpu", 1, True, "")
    scheduler = pipe.scheduler
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()
    generator = torch.Generator("cpu").manual_seed(PLAIN.seed)
    x = torch.randn(1, 4, 8, 8, generator=generator).double() * scheduler.init_noise_sigma
    for index, t in enumerate(scheduler.timesteps):
        s, target = float(sigmas[index]), float(sigmas[index + 1])
        given = (x / (s**2 + 1) ** 0.5).float()
        eps_u, eps_c = model.unet(
            torch.cat([given] * 2), t, torch.cat([uncond, cond])
        ).sample.chunk(2)
        eps = (eps_u + 3.0 * (eps_c - eps_u)).double()
        up = min(target, eta * (target**2 * (s**2 - target**2) / s**2) ** 0.5)
        down = (target**2 - up**2) ** 0.5
        x = x + eps * (down - s)
        noise = torch.randn(1, 4, 8, 8, generator=generator)
        x = x + up * noise.double()
    settings = replace(PLAIN, scheduler="Euler a", eta=eta, num_inference_steps=steps)
    ours = engine.generate([settings], strict=True, record="latents")[0]
    assert ours.trajectory is not None
    latents = ours.trajectory.latents
    assert latents is not None
    np.testing.assert_allclose(latents[-1], x[0].float().numpy(), rtol=1e-3, atol=2e-3)


def test_churn_and_the_noise_multiplier_reach_diffusers(engine: Engine, model: LoadedModel) -> None:
    pipe = model.pipeline("Euler")
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler.step = functools.partial(pipe.scheduler.step, s_churn=3.0)
    generator = torch.Generator("cpu").manual_seed(5)
    noise = 1.1 * torch.randn(1, 4, 8, 8, generator=generator)
    expected = pipe(
        PLAIN.prompt,
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=3.0,
        latents=noise,
        generator=generator,
    ).images[0]
    settings = replace(PLAIN, scheduler="Euler", s_churn=3.0, noise_multiplier=1.1)
    ours = engine.generate([settings], strict=True, record="none")[0].image
    assert max_difference(ours, expected) == 0
    for name in ("s_churn", "noise_multiplier"):
        without = replace(settings, **{name: SETTINGS[name].default})
        other = engine.generate([without], strict=True, record="none")[0].image
        assert max_difference(other, ours) > 0, name


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"scheduler": "DPM++ 2M", "eta": 0.5}, "eta", "DDIM and Euler a"),
        ({"scheduler": "DDIM", "eta": -0.5}, "eta", "neither -1 nor 0 to 1"),
        ({"scheduler": "DDIM", "solver_order": 3}, "solver_order", "not available with DDIM"),
        ({"scheduler": "DDIM", "sigma_schedule": "karras"}, "sigma_schedule", "with DDIM"),
        ({"scheduler": "Heun", "s_churn": 5.0}, "s_churn", "with Euler"),
        ({"scheduler": "UniPC", "solver_type": "heun"}, "solver_type", "bh1, bh2"),
        ({"scheduler": "UniPC", "solver_type": "bh1"}, "solver_type", "divides by zero"),
        (
            {"scheduler": "Euler", "rescale_betas_zero_snr": True, "sigma_schedule": "beta"},
            "rescale_betas_zero_snr",
            "beta",
        ),
    ],
)
def test_what_does_not_go_together_is_one_message(
    changes: dict[str, Any], field: str, words: str
) -> None:
    (problem,) = replace(PLAIN, **changes).validate()
    assert problem.field == field
    assert words in problem.reason


def test_every_problem_is_said_at_once() -> None:
    settings = replace(
        PLAIN, scheduler="DDIM", sigma_schedule="karras", eta=2.0, s_churn=3.0, seed=-5
    )
    fields = [problem.field for problem in settings.validate()]
    assert sorted(fields) == ["eta", "s_churn", "seed", "sigma_schedule"]


def test_noise_alone_says_nothing_to_a_model_that_predicts_noise(engine: Engine) -> None:
    settings = replace(
        PLAIN, scheduler="DDIM", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    with pytest.raises(GenerationError, match="begins without any signal"):
        engine.generate([settings])
    leading = replace(settings, timestep_spacing="leading")
    assert engine.generate([leading])[0].image.size == (64, 64)


def test_order_three_runs_in_two_steps(engine: Engine) -> None:
    for name, row in SCHEDULERS.items():
        if row.orders:
            settings = replace(PLAIN, scheduler=name, solver_order=3, num_inference_steps=2)
            assert engine.generate([settings])[0].image.size == (64, 64)
