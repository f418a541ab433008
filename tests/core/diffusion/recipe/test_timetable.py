"""The calls of a scheduler, against diffusers' own and against what the engine really runs."""

from __future__ import annotations

import math

import diffusers
import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.models.load import describe
from core.diffusion.recipe.sampler import SPACINGS
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.timetable import takes_schedule, takes_spacing, timetable
from core.diffusion.settings import GenerationSettings

CONFIG = describe("bundled").scheduler_config
STEPS = (1, 2, 5, 10)


def their_timesteps(name: str, steps: int, **options: object) -> list[float]:
    row = SCHEDULERS[name]
    cls = getattr(diffusers, row.class_name)
    scheduler = cls.from_config(dict(CONFIG) | options, **row.config)
    scheduler.set_timesteps(steps)
    return [float(timestep) for timestep in scheduler.timesteps]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_calls_are_diffusers_own(name: str) -> None:
    for steps in STEPS:
        table = timetable(name, steps, CONFIG)
        assert not table.problem
        assert [call.timestep for call in table.calls] == their_timesteps(name, steps)
        assert len(table.calls) == SCHEDULERS[name].calls(steps)
        assert [call.index for call in table.calls] == list(range(len(table.calls)))
        for call in table.calls:
            assert call.log_snr == pytest.approx(-math.log(call.sigma**2))
    for spacing in SPACINGS:
        table = timetable(name, 5, CONFIG, spacing=spacing)
        theirs = their_timesteps(name, 5, timestep_spacing=spacing)
        assert [call.timestep for call in table.calls] == theirs


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_run_makes_the_calls_of_its_timetable(engine: Engine, name: str) -> None:
    settings = GenerationSettings(
        prompt="a star", width=8, height=8, num_inference_steps=4, scheduler=name
    )
    trajectory = engine.generate([settings])[0].trajectory
    assert trajectory is not None
    calls = timetable(name, 4, CONFIG).calls
    assert [call.timestep for call in calls] == [record.timestep for record in trajectory.records]
    assert [call.sigma for call in calls] == [record.sigma for record in trajectory.records]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_second_calls_and_the_doubled_first_transition_are_marked(name: str) -> None:
    calls = timetable(name, 5, CONFIG).calls
    kinds = [call.kind for call in calls]
    if name in ("Heun", "DPM2", "DPM2 a"):
        assert kinds == ["step", "second"] * 4 + ["step"]
    elif name == "PNDM":
        assert kinds == ["step", "again"] + ["step"] * 4
        assert calls[1].timestep == calls[2].timestep, "its second level is visited twice"
    else:
        assert set(kinds) == {"step"}
    # Heun looks at where its step ends, and the next one begins there.
    if name == "Heun":
        assert [c.sigma for c in calls[1::2]] == [c.sigma for c in calls[2::2]]


def test_karras_levels_are_his_equation_five() -> None:
    """sigma_i = (max^(1/7) + i / (n - 1) (min^(1/7) - max^(1/7)))^7, over the model's own range."""
    sigmas = [call.sigma for call in timetable("DPM++ 2M Karras", 12, CONFIG).calls]
    betas = np.linspace(CONFIG["beta_start"] ** 0.5, CONFIG["beta_end"] ** 0.5, 1000) ** 2
    abar = np.cumprod(1 - betas)
    levels = np.sqrt((1 - abar) / abar)
    high, low = levels[-1] ** (1 / 7), levels[0] ** (1 / 7)
    expected = (high + np.linspace(0, 1, 12) * (low - high)) ** 7
    assert sigmas == pytest.approx(expected, rel=1e-3)
    other = timetable("DPM++ 2M", 12, CONFIG, schedule="karras").calls
    assert [call.sigma for call in other] == sigmas


@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_option_is_offered_where_it_changes_something(name: str) -> None:
    spaced = {timetable(name, 7, CONFIG, spacing=spacing).calls for spacing in SPACINGS}
    assert (len(spaced) > 1) == takes_spacing(name)
    tables = [timetable(name, 7, CONFIG, schedule=one) for one in ("uniform", "karras", "beta")]
    bent = {table.calls for table in tables if not table.problem}
    assert (len(bent) > 1) == takes_schedule(name)


def test_what_the_scheduler_lab_says_of_spacing_and_karras() -> None:
    """Its help and the figure's sentence, over the whole table."""
    for name in SCHEDULERS:
        if takes_spacing(name):
            begins = {s: timetable(name, 10, CONFIG, spacing=s).calls[0].timestep for s in SPACINGS}
            assert begins["leading"] < begins["trailing"] == begins["linspace"] == 999, name
        if takes_schedule(name):
            laid = {
                timetable(name, 10, CONFIG, spacing=s, schedule="karras").calls for s in SPACINGS
            }
            assert (len(laid) == 1) == name.startswith(("DPM++", "UniPC", "DEIS")), name


def test_more_steps_than_there_are_timesteps_are_a_sentence() -> None:
    table = timetable("LCM", 400, CONFIG)
    assert table.calls == ()
    assert table.problem.startswith("LCM cannot run 400 steps")
    assert "too many for 1000 timesteps" in timetable("DPM++ 2M", 1000, CONFIG).problem


def test_a_label_names_what_was_chosen() -> None:
    assert timetable("DDIM", 1, CONFIG).label == "DDIM · 1 step"
    table = timetable("Euler", 10, CONFIG, spacing="trailing", schedule="karras")
    assert table.label == "Euler · 10 steps · trailing · Karras"
