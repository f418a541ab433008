"""Distances to the most steps, and the order: by closed forms and an ODE that is solved by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.output.figures.convergence_figure import convergence_figure
from core.output.numbers.convergence import (
    draws_noise,
    fitted_order,
    latent_distances,
    lines,
    most_steps,
    steps_side,
)
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep

STEPS = (5, 10, 20, 40, 80)
BASE = GenerationSettings(prompt="x")
SWEEP = Sweep(
    base=BASE,
    x=parse_axis("num_inference_steps", "5, 10, 200, 20, 40, 80"),
    y=parse_axis("scheduler", "Euler, DPM++ 2M, Euler a"),
)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 4.0])
def test_the_order_of_a_closed_form_is_found(order: float) -> None:
    distances = [3.7 * (n**-order - 200**-order) for n in STEPS]
    assert fitted_order(STEPS, distances, 200) == pytest.approx(order, abs=0.011)
    assert fitted_order(STEPS, [9 * one for one in distances], 200) == pytest.approx(
        order, abs=0.011
    )


def test_an_ode_with_a_known_solution_has_its_methods_order() -> None:
    """x' = -x from 1 to e^-1, by Euler's and by Heun's steps."""

    def solved(n: int, is_heun: bool) -> float:
        h = 1 / n
        factor = 1 - h + (h * h / 2 if is_heun else 0)
        return factor**n

    for is_heun, order in ((False, 1), (True, 2)):
        assert solved(5000, is_heun) == pytest.approx(math.exp(-1), abs=1e-4)
        distances = [abs(solved(n, is_heun) - solved(200, is_heun)) for n in STEPS]
        assert fitted_order(STEPS, distances, 200) == pytest.approx(order, abs=0.15)


def test_too_few_distances_have_no_order() -> None:
    assert fitted_order((5, 10), (1.0, 0.5), 40) is None
    assert fitted_order(STEPS, (1.0, 0.5, 0.0, 0.0, 0.0), 200) is None


SETTINGS = {(cell.x, cell.y, cell.z): cell.settings for cell in SWEEP.cells()}


def test_each_row_is_measured_against_its_own_most_steps() -> None:
    assert steps_side(SWEEP) == "x"
    assert most_steps(SWEEP, (0, 1, 0)) == (2, 1, 0)
    swapped = SWEEP.swapped()
    assert (steps_side(swapped), most_steps(swapped, (1, 0, 0))) == ("y", (1, 2, 0))
    assert steps_side(replace(SWEEP, x=parse_axis("guidance_scale", "1, 2"))) is None


def test_lines_of_latents_have_their_order_and_noise_has_none() -> None:
    end, way = np.random.default_rng(3).standard_normal((2, 4, 8, 8))
    way /= np.sqrt(np.square(way).mean())
    latents = {
        place: end + way * 4 / one.num_inference_steps ** (place[1] + 1)
        for place, one in SETTINGS.items()
    }
    distances = latent_distances(SWEEP, latents)
    euler, second, noisy = lines(SWEEP, SETTINGS, distances)
    assert euler.steps == STEPS
    assert euler.distances == pytest.approx([4 / n - 4 / 200 for n in STEPS])
    assert (euler.order, second.order) == (pytest.approx(1, abs=0.02), pytest.approx(2, abs=0.02))
    assert noisy.draws_noise
    assert noisy.order is None
    figure: Any = convergence_figure([euler, second, noisy], "RMSE")
    assert [line.name for line in figure.data] == [
        "Euler: order 1.0",
        "DPM++ 2M: order 2.0",
        "Euler a: fresh noise, no order",
    ]


def test_distances_that_are_rounding_stay_out_of_the_fit() -> None:
    """A floor below 1 under c / n^2, as 8 bits make it, would pull the order down."""
    distances = {
        place: max(2500 / one.num_inference_steps**2, 0.9) for place, one in SETTINGS.items()
    }
    assert lines(SWEEP, SETTINGS, distances, least=1.0)[0].order == pytest.approx(2, abs=0.1)
    assert (lines(SWEEP, SETTINGS, distances)[0].order or 0) < 1.9


def test_a_cell_without_its_most_steps_has_no_place() -> None:
    latents = {place: np.zeros((4, 2, 2)) for place in SETTINGS if place != (2, 1, 0)}
    assert {place[1] for place in latent_distances(SWEEP, latents)} == {0, 2}
    assert [line.label for line in lines(SWEEP, SETTINGS, latent_distances(SWEEP, latents))] == [
        "Euler",
        "Euler a",
    ]


def test_a_sampler_draws_noise_by_its_settings() -> None:
    for changes, draws in (
        ({"scheduler": "Euler"}, False),
        ({"scheduler": "Euler", "s_churn": 2.0}, True),
        ({"scheduler": "Euler a"}, True),
        ({"scheduler": "Euler a", "eta": 0.0}, False),
        ({"scheduler": "DDIM", "eta": 0.5}, True),
        ({"scheduler": "DPM++ 2M SDE"}, True),
    ):
        assert draws_noise(replace(BASE, **changes)) == draws, changes  # type: ignore[arg-type]
