"""What is said of schedulers, on their timetables and on runs of the bundled model."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import isclose
from typing import Any

import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.timetable import timetable
from core.diffusion.settings import GenerationSettings

PROMPTS = ("a red apple on a blue background, flat style", "a cat, flat style", "a rocket")
BASE = GenerationSettings(num_inference_steps=20, guidance_scale=3.0)
CONFIG = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def pictures(model: LoadedModel, **changes: Any) -> np.ndarray:
    """(prompts, height, width, 3), 0 to 255."""
    cells = [replace(BASE, prompt=prompt, seed=1, **changes) for prompt in PROMPTS]
    return np.array([np.asarray(one.image, float) for one in Engine(model).generate(cells)])


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """RMSE of each pair."""
    return np.sqrt(np.square(a - b).mean((1, 2, 3)))


def test_even_timesteps_leave_low_noise_nearly_bare_and_karras_fills_it() -> None:
    def low(schedule: str | None) -> int:
        calls = timetable("Euler", 20, CONFIG, spacing="linspace", schedule=schedule).calls
        return sum(call.log_snr > 2 for call in calls)

    assert low(None) <= 3
    assert low("karras") >= 2 * low(None)


def test_karras_puts_more_steps_at_low_noise() -> None:
    def low(name: str) -> int:
        return sum(call.sigma < 1 for call in timetable(name, 20, CONFIG).calls)

    assert low("DPM++ 2M Karras") > low("DPM++ 2M")


def test_flat_pieces_are_those_of_heun_dpm2_a_and_pndm() -> None:
    def twice(name: str) -> list[int]:
        calls = timetable(name, 10, CONFIG).calls
        pairs = itertools.pairwise(calls)
        return [one.index for one, after in pairs if isclose(one.sigma, after.sigma, rel_tol=1e-5)]

    assert twice("Heun") == list(range(1, 18, 2))
    assert twice("PNDM") == [1]
    assert twice("DPM2 a") == list(range(1, 18, 2))
    others = [name for name in SCHEDULERS if name not in ("Heun", "PNDM", "DPM2 a")]
    assert not any(map(twice, others))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_raw_norm_falls_where_x_is_kept_with_its_noise(name: str, model: LoadedModel) -> None:
    """Latents, "Raw latent norm"."""
    cell = replace(BASE, prompt=PROMPTS[0], scheduler=name, num_inference_steps=8)
    trajectory = Engine(model).generate([cell])[0].trajectory
    assert trajectory is not None
    first, last = (trajectory.records[i].raw_latent_norm or 0 for i in (0, -1))
    is_named = name in ("Euler", "Euler a", "Heun", "LMS", "DPM2", "DPM2 a")
    assert (first > 4 * last) == is_named
    assert is_named or first < 1.5 * last


def test_euler_a_never_settles_and_euler_does(model: LoadedModel) -> None:
    def moved(name: str) -> float:
        few, many = (
            pictures(model, scheduler=name, num_inference_steps=steps) for steps in (40, 80)
        )
        return float(apart(few, many).mean())

    assert moved("Euler a") > 4 * moved("Euler")


def test_dpmpp_2m_hardly_changes_after_20_steps(model: LoadedModel) -> None:
    few, enough, many = (pictures(model, num_inference_steps=steps) for steps in (8, 20, 50))
    assert apart(enough, many).max() < 10
    assert apart(few, many).mean() > 3 * apart(enough, many).mean()


def test_noise_above_a_deviation_of_1_stays_in_the_picture(model: LoadedModel) -> None:
    """Variations, "Numbers", and the method "add"."""

    def grain(made: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(made, axis=1)).mean((1, 2, 3))

    def clipped(made: np.ndarray) -> float:
        return float(np.isin(made, (0, 255)).mean())

    usual, above = (pictures(model, noise_multiplier=factor) for factor in (1.0, 1.41))
    added = pictures(
        model, variation_method="add", variation_seed=99, variation_strength=1.0
    )  # a deviation of 1.41
    for one in (above, added):
        assert (grain(one) > 1.5 * grain(usual)).all()
        assert clipped(one) > 1.5 * clipped(usual)
