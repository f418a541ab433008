"""The formula on the page, computed apart, is the scheduler's own step."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diffusers import PNDMScheduler

from core.diffusion.inside.unrolled import unroll
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.sampler import SPACINGS
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.output.figures.formula import WRITTEN_OUT, reached_sigma, step_formula
from tests.core.diffusion.inside.taken_apart import SHORT, UNGUIDED, finish

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.mark.parametrize("steps", [1, 2, 6, 20])
@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_every_step_is_the_schedulers(model: LoadedModel, name: str, steps: int) -> None:
    settings = replace(UNGUIDED if steps == 20 else SHORT, scheduler=name)
    run = finish(unroll(model, replace(settings, num_inference_steps=steps)))
    for call in range(run.calls):
        formula = step_formula(run, call)
        assert formula.result is not None
        worst = np.abs(formula.result - run.latents[call + 1]).max()
        size = max(1.0, float(np.abs(run.latents[call]).max()))
        assert worst < 1e-5 * size, (name, call)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["DDIM", "Euler"])
def test_every_step_is_the_schedulers_however_it_is_guided(
    model: LoadedModel, name: str, method: str
) -> None:
    settings = replace(
        SHORT, scheduler=name, guidance_method=method, guidance_scale=0.6, guidance_below_1=True
    )
    run = finish(unroll(model, replace(settings, num_inference_steps=6, guidance_end=0.7)))
    for call in range(run.calls):
        formula = step_formula(run, call)
        assert formula.result is not None
        assert np.allclose(formula.result, run.latents[call + 1], atol=2e-4), call
        assert ("epsilon_u" in "".join(formula.general)) == (method == "CFG++" and call < 4)


def with_spacing(model: LoadedModel, spacing: str) -> LoadedModel:
    config = {**model.info.scheduler_config, "timestep_spacing": spacing}
    return replace(model, info=replace(model.info, scheduler_config=config))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [3, 7, 20])
@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_every_step_is_the_schedulers_at_any_spacing(
    model: LoadedModel, name: str, steps: int, spacing: str
) -> None:
    settings = replace(UNGUIDED, scheduler=name, num_inference_steps=steps, width=64, height=64)
    run = finish(unroll(with_spacing(model, spacing), settings))
    for call in range(run.calls):
        formula = step_formula(run, call)
        assert formula.result is not None
        worst = np.abs(formula.result - run.latents[call + 1]).max()
        size = max(1.0, float(np.abs(run.latents[call]).max()))
        assert worst < 1e-5 * size, call


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_level_that_pndm_reaches_is_its_own(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, spacing: str
) -> None:
    """Read off the timestep that its own formula is given."""
    there: list[int] = []
    step = PNDMScheduler._get_prev_sample

    def spy(self: Any, sample: Any, timestep: int, prev_timestep: int, output: Any) -> Any:
        there.append(int(prev_timestep))
        return step(self, sample, timestep, prev_timestep, output)

    monkeypatch.setattr(PNDMScheduler, "_get_prev_sample", spy)
    settings = replace(UNGUIDED, scheduler="PNDM", num_inference_steps=7, width=64, height=64)
    run = finish(unroll(with_spacing(model, spacing), settings))
    scheduler = SCHEDULERS["PNDM"].build(run.scheduler_config)
    abar = [float(scheduler.alphas_cumprod[max(t, 0)]) for t in there]
    expected = [((1 - a) / a) ** 0.5 for a in abar]
    assert [reached_sigma(run, call) for call in range(run.calls)] == pytest.approx(expected)


def test_they_are_the_three_and_karras() -> None:
    assert set(WRITTEN_OUT) == {"DDIM", "Euler", "DPM++ 2M", "DPM++ 2M Karras"}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_the_numbers_filled_in_are_the_entrys(model: LoadedModel, name: str) -> None:
    """The line's left side, worked out from the digits as they are printed, is its right side."""
    run = finish(unroll(model, replace(SHORT, scheduler=name)))
    for call in range(run.calls):
        formula = step_formula(run, call)
        line = re.sub(r"\\cdot 10\^\{(-?\d+)\}", r"e\1", formula.filled[-1])
        line = line.replace("(", "").replace(")", "")
        found = re.search(r"x' &= (.*) \\\\ &= (.*) \\end", line)
        assert found is not None
        given, said = found.groups()
        terms = [
            np.prod([float(number) for number in NUMBER.findall(term)])
            for term in given.split(" + ")
        ]
        assert sum(terms) == pytest.approx(float(said), abs=5e-3)
        assert float(said) == pytest.approx(float(run.latents[call + 1][formula.place]), rel=1e-3)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in WRITTEN_OUT])
def test_others_say_before_and_after_only(model: LoadedModel, name: str) -> None:
    run = finish(unroll(model, replace(SHORT, scheduler=name, num_inference_steps=3)))
    formula = step_formula(run, 0)
    assert formula.result is None
    assert formula.general == formula.filled == ()
    assert [value for _, value in formula.numbers] == [run.sigmas[0], run.sigmas[1]]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("DDIM", {"clip_sample": True}),
        ("DDIM", {"thresholding": True}),
        ("DPM++ 2M", {"solver_type": "heun"}),
    ],
)
def test_a_configuration_that_is_not_written_out_is_not_claimed(
    model: LoadedModel, name: str, changed: dict[str, object]
) -> None:
    run = finish(unroll(model, replace(SHORT, scheduler=name, num_inference_steps=2)))
    other = replace(run, scheduler_config=run.scheduler_config | changed)
    assert step_formula(run, 0).result is not None
    assert step_formula(other, 0).result is None


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Euler", {"sigma_schedule": "exponential"}),
        ("DPM++ 2M", {"sigma_schedule": "beta", "timestep_spacing": "trailing"}),
        ("DDIM", {"timestep_spacing": "trailing"}),
        ("DDIM", {"noise_multiplier": 1.1, "rescale_betas_zero_snr": True}),
    ],
)
def test_levels_of_ones_choice_are_filled_in(
    model: LoadedModel, name: str, changes: dict[str, Any]
) -> None:
    run = finish(unroll(model, replace(SHORT, scheduler=name, **changes)))
    for call in range(run.calls):
        formula = step_formula(run, call)
        assert formula.result is not None
        worst = np.abs(formula.result - run.latents[call + 1]).max()
        assert worst < 1e-5 * max(1.0, float(np.abs(run.latents[call]).max())), call


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("DDIM", {"eta": 0.5}),
        ("Euler", {"s_churn": 2.0}),
        ("DPM++ 2M", {"lower_order_final": False}),
        ("DPM++ 2M", {"final_sigmas_type": "sigma_min"}),
        ("DPM++ 2M", {"solver_order": 3}),
    ],
)
def test_a_step_that_is_another_is_not_claimed(
    model: LoadedModel, name: str, changes: dict[str, Any]
) -> None:
    run = finish(unroll(model, replace(SHORT, scheduler=name, num_inference_steps=3, **changes)))
    assert step_formula(run, 0).result is None
