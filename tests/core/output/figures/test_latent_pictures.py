"""Latents as pictures: signs, ends, and the coordinates they are shown in."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory
from core.output.figures.latent_pictures import (
    change_map,
    enlarged_png,
    heat_map,
    spans,
    step_latents,
)
from tests.core.output.figures.step_doubles import step_trajectory

DDIM = GenerationSettings(scheduler="DDIM")


def test_a_step_has_its_own_tensors() -> None:
    trajectory = step_trajectory(5, tensors=True)
    assert trajectory.latents is not None
    assert trajectory.pred_original_sample is not None
    now = step_latents(trajectory, DDIM, 3)
    np.testing.assert_array_equal(now.x, trajectory.latents[3])
    np.testing.assert_array_equal(now.x0, trajectory.pred_original_sample[3])
    assert now.change is not None
    x0 = trajectory.pred_original_sample
    np.testing.assert_array_equal(now.change, x0[3] - x0[2])
    assert step_latents(trajectory, DDIM, 0).change is None


def test_sigma_space_latents_are_shown_in_the_coordinates_of_the_others() -> None:
    trajectory = step_trajectory(5, tensors=True)
    euler = step_latents(trajectory, replace(DDIM, scheduler="Euler"), 1)
    sigma = trajectory.records[1].sigma
    assert trajectory.latents is not None
    np.testing.assert_allclose(euler.x, trajectory.latents[1] / math.sqrt(1 + sigma**2))


def test_numbers_alone_have_no_pictures() -> None:
    with pytest.raises(ValueError, match="numbers only"):
        step_latents(step_trajectory(5), DDIM, 0)


def test_a_heat_map_is_blue_below_zero_and_red_above() -> None:
    pixels = heat_map(np.array([[-2.0, -9.0, 0.0, 2.0, np.nan]]), 2.0)
    below, beyond, zero, above, broken = pixels[0].astype(int)
    assert below[2] > below[0], "blue"
    assert above[0] > above[2], "red"
    assert list(beyond) == list(below), "what is beyond the end has the end's colour"
    assert zero.min() > 230
    assert list(broken) == list(zero)
    half = heat_map(np.array([[1.0]]), 2.0)[0, 0].astype(int)
    assert above[1] < half[1] < zero[1]


def test_a_change_is_lightest_where_it_is_largest() -> None:
    change = np.zeros((4, 2, 2))
    change[:, 1, 0] = 3.0
    change[0, 0, 1] = 2.0
    pixels, largest = change_map(change)
    assert largest == 3.0
    assert pixels[1, 0].min() > pixels[0, 1].max() > pixels[0, 0].max()
    still, nothing = change_map(np.zeros((4, 2, 2)))
    assert nothing == 0.0
    assert len(np.unique(still.reshape(-1, 3), axis=0)) == 1


def test_the_colours_span_nearly_all_entries_of_the_run() -> None:
    trajectory = step_trajectory(8, tensors=True)
    of_x, of_x0 = spans(trajectory, DDIM)
    assert trajectory.latents is not None
    assert trajectory.pred_original_sample is not None
    assert np.mean(np.abs(trajectory.latents[:-1]) <= of_x) == pytest.approx(0.99, abs=0.005)
    inside = np.mean(np.abs(trajectory.pred_original_sample) <= of_x0)
    assert inside == pytest.approx(0.99, abs=0.005)
    zeros = Trajectory(
        records=trajectory.records,
        latents=np.zeros_like(trajectory.latents),
        pred_original_sample=np.zeros_like(trajectory.pred_original_sample),
    )
    assert spans(zeros, DDIM) == (1.0, 1.0)


def test_every_entry_is_a_square_of_its_own() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.open(io.BytesIO(enlarged_png(pixels, 100)))
    assert image.size == (102, 68)
    np.testing.assert_array_equal(np.asarray(image)[::34, ::34], pixels)
