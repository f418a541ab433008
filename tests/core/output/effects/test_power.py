"""The number of seeds against published tables and against simulated experiments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from core.output.effects.power import MOST_BLOCKS, blocks_needed, power_of


@pytest.mark.parametrize(("size", "blocks"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_cohens_small_medium_and_large(size: float, blocks: int) -> None:
    """G*Power 3.1, t test of matched pairs, two-sided, alpha 0.05, power 0.80."""
    assert blocks_needed(size, 1.0) == blocks
    assert blocks_needed(-size * 4, 4.0) == blocks, "the sign and the unit do not matter"


@pytest.mark.parametrize("size", [0.15, 0.7, 1.3, 4.0, 40.0])
def test_one_block_less_is_not_enough(size: float) -> None:
    found = blocks_needed(size, 1.0)
    assert found is not None
    assert power_of(size, found) >= 0.8
    assert found == 2 or power_of(size, found - 1) < 0.8


def test_the_power_is_how_often_a_test_shows_the_difference() -> None:
    draw = np.random.default_rng(2)
    shown = stats.ttest_1samp(draw.normal(0.9, 1, size=(20_000, 8)), 0, axis=1).pvalue <= 0.05
    assert power_of(0.9, 8) == pytest.approx(shown.mean(), abs=0.01)


def test_the_power_at_no_difference_is_alpha() -> None:
    assert power_of(0.0, 8) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("mean", "deviation"), [(0.0, 1.0), (1.0, 0.0), (0.01, 1.0), (1.0, math.nan), (1.0, math.inf)]
)
def test_no_number_where_none_would_do(mean: float, deviation: float) -> None:
    assert blocks_needed(mean, deviation) is None


def test_the_largest_number_that_is_said() -> None:
    found = blocks_needed(0.0887, 1.0)
    assert found is not None
    assert 990 < found <= MOST_BLOCKS


def test_a_difference_far_beyond_chance_needs_two() -> None:
    assert [blocks_needed(size, 1.0) for size in (30.0, 1e3, 1e9)] == [2, 2, 2]
