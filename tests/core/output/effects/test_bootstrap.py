"""Resampled intervals against SciPy's own, and how often they hold what they are of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from core.output.effects.bootstrap import bootstrap


def test_of_many_blocks_it_is_scipys_own() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    (found,) = bootstrap(values, np.mean, 9999, 1)
    ends = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(2)).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.01)


def test_it_comes_again() -> None:
    values = np.random.default_rng(0).normal(size=8)
    assert bootstrap(values, np.mean, 99, 1) == bootstrap(values, np.mean, 99, 1)
    assert bootstrap(values, np.mean, 99, 1) != bootstrap(values, np.mean, 99, 2)


def test_a_row_each_and_none_for_one_that_does_not_vary() -> None:
    values = np.random.default_rng(0).normal(size=8)

    def rows(chosen: np.ndarray, axis: int = -1) -> np.ndarray:
        mean = chosen.mean(axis=axis)
        return np.stack([mean, 2 * mean, np.zeros_like(mean)])

    single, double, constant = bootstrap(values, rows, 999, 0)
    assert single is not None
    assert double is not None
    assert double.low == pytest.approx(2 * single.low)
    assert constant is None
    assert bootstrap(values[:4], rows, 999, 0) == [None] * 3, "too few blocks"
    assert bootstrap(values, rows, 0, 0) == [None] * 3, "no resamples"


@pytest.mark.parametrize(("blocks", "least", "most"), [(5, 0.88, 0.95), (8, 0.91, 0.98)])
def test_it_covers_the_mean_as_often_as_its_text_says(
    blocks: int, least: float, most: float
) -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        (found,) = bootstrap(draw.normal(size=blocks), np.mean, 1999, 0)
        held += found is not None and found.holds(0)
    assert least <= held / 400 <= most


def test_without_a_larger_level_it_would_be_too_narrow() -> None:
    """Percentiles of 8 blocks: narrower than t's by sqrt(7/8) and by how the normal differs."""
    values = np.random.default_rng(4).normal(size=8)
    (found,) = bootstrap(values, np.mean, 9999, 0)
    assert found is not None
    exact = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    plain = stats.bootstrap((values,), np.mean, rng=1).confidence_interval
    width = exact.high - exact.low
    assert math.isclose((found.high - found.low) / width, 1, abs_tol=0.15)
    assert plain.high - plain.low < 0.9 * width


def test_squares_near_0_have_an_interval_that_holds_them() -> None:
    """Every resample of a mean near 0 has a larger square: there is nothing to correct by."""
    values = np.array([-2.0, -1.0, 1.0, 2.0, 0.00001])

    def square(chosen: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.square(chosen.mean(axis=axis)) + np.square(chosen.mean(axis=axis) - 2e-6)

    (found,) = bootstrap(values, square, 999, 0)
    assert found is not None
    assert found.holds(float(square(values)))
    assert found.high > 0.1
