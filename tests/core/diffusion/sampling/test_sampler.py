"""What a sampler is made of: each combination is diffusers' own picture, or is refused in words."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from core.diffusion.recipe.schedule import call_sigmas, start_of, step_range
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.sampling.sampler import laid_out
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


def level_of(sigma: float, known: torch.Tensor) -> float:
    """The timestep of a noise level, between the model's own by log sigma (k-diffusion's
    sigma_to_t); a level beyond the last has the last timestep.
    """
    logs = known.log().tolist()
    wanted = math.log(sigma)
    if wanted >= logs[-1]:
        return float(len(logs) - 1)
    above = next(index for index, log in enumerate(logs) if log > wanted)
    if above == 0:
        return 0.0
    return above - 1 + (wanted - logs[above - 1]) / (logs[above] - logs[above - 1])


@dataclass
class Loop:
    """A run in float64 outside of any scheduler: it has the levels, and calls the model."""

    model: LoadedModel
    steps: int
    scheduler: str

    def __post_init__(self) -> None:
        pipe = self.model.pipeline(self.scheduler)
        pipe.scheduler.set_timesteps(self.steps)
        found = pipe.scheduler.sigmas.double().tolist()
        self.sigmas = [*sorted(set(found), reverse=True)]  # one a step, and 0
        abar = pipe.scheduler.alphas_cumprod.double()
        self.known = ((1 - abar) / abar).sqrt()
        self.start = float(pipe.scheduler.init_noise_sigma)
        self.cond, self.uncond = pipe.encode_prompt(PLAIN.prompt, "cpu", 1, True, "")
        self.generator = torch.Generator("cpu").manual_seed(PLAIN.seed)

    def noise(self) -> torch.Tensor:
        return torch.randn(1, 4, 8, 8, generator=self.generator).double()

    def eps(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        given = (x / (sigma**2 + 1) ** 0.5).float()
        t = torch.tensor(level_of(sigma, self.known))
        told = torch.cat([self.uncond, self.cond])
        eps_u, eps_c = self.model.unet(torch.cat([given] * 2), t, told).sample.chunk(2)
        return (eps_u + 3.0 * (eps_c - eps_u)).double()


def final_latents(engine: Engine, settings: GenerationSettings) -> np.ndarray:
    """(C, h, w), by the batch's own way."""
    made = engine.generate([settings], strict=True, record="latents")[0]
    assert made.trajectory is not None
    assert made.trajectory.latents is not None
    return made.trajectory.latents[-1]


@torch.no_grad()
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_dpm2_a_with_part_of_its_noise_is_the_independent_loop(
    eta: float, engine: Engine, model: LoadedModel
) -> None:
    """k-diffusion's sample_dpm_2_ancestral."""
    loop = Loop(model, 6, "DPM2 a")
    x = loop.noise() * loop.start
    for s, target in itertools.pairwise(loop.sigmas):
        up = min(target, eta * (target**2 * (s**2 - target**2) / s**2) ** 0.5)
        down = (target**2 - up**2) ** 0.5
        slope = loop.eps(x, s)
        if down > 0:
            middle = (s * down) ** 0.5
            slope = loop.eps(x + (middle - s) * slope, middle)
        x = x + (down - s) * slope
        x = x + up * loop.noise()
    settings = replace(PLAIN, scheduler="DPM2 a", eta=eta, num_inference_steps=6)
    found = final_latents(engine, settings)
    np.testing.assert_allclose(found, x[0].float().numpy(), rtol=1e-3, atol=3e-3)


def test_dpm2_a_goes_from_dpm2_to_its_own_noise(engine: Engine) -> None:
    plain, ode = (replace(PLAIN, scheduler=name) for name in ("DPM2 a", "DPM2"))
    none, whole = (replace(plain, eta=eta) for eta in (0.0, 1.0))
    images = [
        one.image
        for settings in (plain, whole, none, ode)
        for one in engine.generate([settings], strict=True, record="none")
    ]
    assert max_difference(images[0], images[1]) == 0
    assert max_difference(images[2], images[3]) <= 1
    assert max_difference(images[0], images[2]) > 10
    assert whole.digest("m") == plain.digest("m") != none.digest("m")


@torch.no_grad()
@pytest.mark.parametrize("s_churn", [1.2, 50.0])
def test_heun_with_churn_is_the_independent_loop(
    s_churn: float, engine: Engine, model: LoadedModel
) -> None:
    """k-diffusion's sample_heun (Karras et al. 2022, algorithm 2), begun at the raised level: the
    noise of the start and that of the first step are one draw.
    """
    steps = 6
    loop = Loop(model, steps, "Heun")
    gamma = min(s_churn / steps, 2**0.5 - 1)
    raised = loop.sigmas[0] * (1 + gamma)
    x = loop.noise() * (raised if loop.start == loop.sigmas[0] else (raised**2 + 1) ** 0.5)
    for index, (s, target) in enumerate(itertools.pairwise(loop.sigmas)):
        hat = s * (1 + gamma)
        if index:
            x = x + loop.noise() * (hat**2 - s**2) ** 0.5
        slope = loop.eps(x, hat)
        if target > 0:
            slope = (slope + loop.eps(x + (target - hat) * slope, target)) / 2
        x = x + (target - hat) * slope
    settings = replace(PLAIN, scheduler="Heun", s_churn=s_churn, num_inference_steps=steps)
    found = final_latents(engine, settings)
    np.testing.assert_allclose(found, x[0].float().numpy(), rtol=1e-3, atol=3e-3)


def test_churned_heun_records_the_levels_it_is_called_at(engine: Engine) -> None:
    """Each step begins above its level; the look ahead is at a level as it was. What is in the
    latents is what the level says.
    """
    plain, churned = (
        engine.generate([replace(PLAIN, scheduler="Heun", s_churn=churn)], record="norms")[0]
        for churn in (0.0, 50.0)
    )
    assert plain.trajectory is not None
    assert churned.trajectory is not None
    before = [record.sigma for record in plain.trajectory.records]
    after = [record.sigma for record in churned.trajectory.records]
    assert after[::2] == pytest.approx([sigma * 2**0.5 for sigma in before[::2]])
    assert after[1::2] == pytest.approx(before[1::2])
    rms = churned.trajectory.records[0].latent_rms
    assert rms is not None
    assert 0.8 < rms < 1.2


@pytest.mark.parametrize(
    "changes", [{"scheduler": "DPM2 a", "eta": 0.5}, {"scheduler": "Heun", "s_churn": 3.0}]
)
def test_image_to_image_says_the_level_that_it_starts_at(
    changes: dict[str, Any], model: LoadedModel
) -> None:
    settings = replace(PLAIN, init_image="0" * 64, strength=0.5, **changes)
    config = model.info.scheduler_config
    begin = step_range(settings, config)
    scheduler = laid_out(settings, begin.schedule_steps, config)
    at = begin.first_call(SCHEDULERS[settings.scheduler])
    start = start_of(settings, config)
    assert start.sigma == pytest.approx(float(scheduler.sigmas[at]))
    assert start.timestep == pytest.approx(float(scheduler.timesteps[at]))
    plain = start_of(replace(settings, eta=-1.0, s_churn=0.0), config)
    is_raised = start.sigma > plain.sigma * 1.2
    assert is_raised == (settings.scheduler == "Heun")


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
        ({"scheduler": "DPM++ 2M", "eta": 0.5}, "eta", "DDIM, Euler a and DPM2 a"),
        ({"scheduler": "DDIM", "eta": -0.5}, "eta", "neither -1 nor 0 to 1"),
        ({"scheduler": "DDIM", "solver_order": 3}, "solver_order", "not available with DDIM"),
        ({"scheduler": "DDIM", "sigma_schedule": "karras"}, "sigma_schedule", "with DDIM"),
        ({"scheduler": "LMS", "s_churn": 5.0}, "s_churn", "Euler and Heun"),
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
