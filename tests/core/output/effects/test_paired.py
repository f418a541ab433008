"""Paired differences against SciPy, closed forms, published examples and simulated grids."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.output.effects.grid import EffectGrid, Factor, Observation
from core.output.effects.paired import corrected, curve, differences, holm
from core.output.effects.result import Curve, Difference
from tests.core.output.effects.grids import SCORE, factors, grid_of

# Student 1908 (Biometrika 6:1): hours of sleep gained by ten patients with two drugs.
SLEEP = np.array(
    [
        [0.7, 1.9],
        [-1.6, 0.8],
        [-0.2, 1.1],
        [-1.2, 0.1],
        [-0.1, -0.1],
        [3.4, 4.4],
        [3.7, 5.5],
        [0.8, 1.6],
        [0.0, 4.6],
        [2.0, 3.4],
    ]
)


def only(grid: EffectGrid, factor: str = "guidance_scale") -> Difference:
    (found,) = differences(grid, factor, SCORE.name)
    return found


def test_students_sleep() -> None:
    """R's t.test(..., paired = TRUE): t = 4.0621, p = 0.002833, 95 % CI 0.7001 to 2.4599."""
    found = only(grid_of(SLEEP))
    assert found.mean == pytest.approx(1.58)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(0.7001142, abs=1e-6)
    assert found.interval.high == pytest.approx(2.4598858, abs=1e-6)
    assert found.p == pytest.approx(0.00283289, abs=1e-7)
    assert (found.agree, len(found.blocks)) == (9, 10), "one patient slept as long with both"
    assert found.is_shown


def test_the_p_is_that_of_scipys_paired_test() -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(size=(7, 2))
    assert only(grid_of(values)).p == pytest.approx(
        stats.ttest_rel(values[:, 1], values[:, 0]).pvalue
    )


def test_neighbours_are_so_by_size_and_chosen_pairs_are_kept() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3))
    known = (Factor(name="steps", label="Steps", levels=("20", "5", "10"), numbers=(20, 5, 10)),)
    grid = grid_of(values, known=known)
    found = differences(grid, "steps", SCORE.name)
    assert [(one.start, one.end) for one in found] == [(1, 2), (2, 0)]
    (chosen,) = differences(grid, "steps", SCORE.name, [(1, 0)])
    assert chosen.mean == pytest.approx((values[:, 0] - values[:, 1]).mean())


def test_names_stay_in_their_order() -> None:
    grid = grid_of(np.zeros((2, 2)), known=(Factor(name="s", label="S", levels=("b", "a")),))
    assert [(one.start, one.end) for one in differences(grid, "s", SCORE.name)] == [(0, 1)]


def test_a_blocks_difference_is_its_mean_over_the_cells_that_have_both() -> None:
    values = np.array([[[1.0, 10.0], [3.0, 50.0]], [[0.0, 0.0], [1.0, 2.0]]])
    values[0, 1, 1] = np.nan
    found = only(grid_of(values))
    assert found.by_block == (2.0, 1.5)
    assert (found.pairs, found.possible_pairs) == (3, 4)
    assert found.note == (
        "Fewer than 5 seeds: no bootstrap. "
        "3 of 4 pairs exist, in 2 of 2 seeds: the others count for nothing."
    )


def test_a_block_without_a_pair_is_left_out() -> None:
    values = np.array([[1.0, 2.0], [np.nan, 5.0], [0.0, 3.0], [1.0, 2.5]])
    found = only(grid_of(values))
    assert found.blocks == ("0", "2", "3")
    assert found.by_block == (1.0, 3.0, 1.5)
    assert "3 of 4 pairs exist, in 3 of 4 seeds" in found.note


def test_one_block_is_what_happened_once() -> None:
    found = only(grid_of(np.array([[1.0, 3.0]])))
    assert (found.mean, found.agree, found.note) == (2.0, 1, "One seed: what happened once.")
    assert (found.interval, found.bootstrap, found.p, found.needed) == (None, None, None, None)
    assert not found.is_shown


def test_no_pair_at_all() -> None:
    found = only(grid_of(np.array([[1.0, np.nan], [np.nan, 2.0]])))
    assert (found.mean, found.blocks, found.p) == (None, (), None)
    assert found.note == "No seed has a cell with both values."


@pytest.mark.parametrize("change", [0.0, 0.1])
def test_what_is_the_same_in_every_block_has_no_interval(change: float) -> None:
    """0.1 + 0.2 is not 0.3: differences that rounding alone tells apart are the same."""
    values = np.array([[start, start + change] for start in (0.1, 0.2, 0.3, 0.7)])
    found = only(grid_of(values))
    assert found.mean == pytest.approx(change)
    assert (found.interval, found.bootstrap, found.p) == (None, None, None)
    assert found.note == "Exactly as much in all 4 seeds: no interval can be drawn."
    assert found.agree == (4 if change else 0)


def test_two_blocks_have_a_wide_interval_and_no_bootstrap() -> None:
    found = only(grid_of(np.array([[0.0, 1.0], [0.0, 2.0]])))
    assert found.interval is not None
    assert found.bootstrap is None
    # t of one degree of freedom is Cauchy: 12.706 standard errors.
    half = np.tan(np.pi * 0.475) * 0.5
    assert found.interval.high - 1.5 == pytest.approx(half)


def test_a_number_that_is_not_finite_was_not_measured() -> None:
    grid = grid_of(np.array([[0.0, 1.0]] * 3))
    first = grid.observations[0]
    broken = replace(first, values={SCORE.name: float("inf")})
    found = only(replace(grid, observations=(broken, *grid.observations[1:])))
    assert found.blocks == ("1", "2")


def test_holms_correction() -> None:
    """R's p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm"), and the four hypotheses of Holm's method
    as it is usually shown: 0.01, 0.04, 0.03, 0.005 -> 0.03, 0.06, 0.06, 0.02.
    """
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_is_shown_together_is_corrected_together() -> None:
    draw = np.random.default_rng(5)
    values = draw.normal(size=(6, 3, 2)) + np.arange(3)[:, None]
    values[..., 1] = values[..., 0]
    grid = grid_of(values)
    found = [
        one
        for name in ("guidance_scale", "scheduler")
        for one in differences(grid, name, "clip_score")
    ]
    both = corrected(found)
    assert [one.p is None for one in both] == [False, False, True], "the last never differs"
    assert {one.comparisons for one in both} == {2}
    assert [one.p_holm for one in both[:2]] == holm([one.p or 0 for one in found[:2]])
    assert both[2].p_holm is None


def test_a_difference_that_the_correction_loses_is_not_shown() -> None:
    found = only(grid_of(SLEEP))
    many = corrected([found, *[replace(found, p=0.9)] * 30])[0]
    assert many.interval == found.interval
    assert many.p_holm == pytest.approx(31 * 0.00283289, abs=1e-5)
    assert not many.is_shown


@given(st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_order_of_the_observations_does_not_matter(shuffler: random.Random) -> None:
    values = np.random.default_rng(8).normal(size=(4, 3, 2))
    values[2, 1, 0] = np.nan
    grid = grid_of(values, blocks=["10", "9", "-3", "100"])
    mixed = list(grid.observations)
    shuffler.shuffle(mixed)
    other = replace(grid, observations=tuple(mixed))

    def of(one: EffectGrid) -> tuple[list[Difference], Curve]:
        return (
            differences(one, "guidance_scale", SCORE.name, resamples=99),
            curve(one, "guidance_scale", SCORE.name),
        )

    assert of(grid) == of(other)
    assert grid.blocks() == ("-3", "9", "10", "100")


def test_the_interval_holds_the_known_effect_in_19_of_20_grids() -> None:
    """2,000 grids of 8 seeds and 2 x 2 values: seeds far apart, an effect that varies with them."""
    draw = np.random.default_rng(11)
    effect, held = 0.7, 0
    for _ in range(2000):
        seeds = draw.normal(scale=5, size=(8, 1, 1))
        slopes = draw.normal(effect, 0.5, size=(8, 1, 1)) * np.array([0, 1])[:, None]
        grid = grid_of(seeds + slopes + draw.normal(size=(8, 2, 2)))
        (found,) = differences(grid, "guidance_scale", SCORE.name, resamples=0)
        assert found.interval is not None
        held += found.interval.holds(effect)
    assert 0.93 <= held / 2000 <= 0.97


def test_a_curve_has_a_line_for_each_block_and_a_gap_where_a_cell_is_missing() -> None:
    values = np.array([[1.0, 2.0, 4.0], [2.0, np.nan, 3.0], [0.0, 3.0, 3.0]])
    found = curve(grid_of(values), "guidance_scale", SCORE.name)
    assert found.lines == ((1.0, 2.0, 4.0), (2.0, None, 3.0), (0.0, 3.0, 3.0))
    assert found.complete == 2
    assert found.mean == pytest.approx((0.5, 2.5, 3.5))


def test_no_step_of_a_line_comes_from_which_cells_there_are() -> None:
    values = np.zeros((1, 3, 2)) + np.array([0, 100])
    values[0, 2, 1] = np.nan
    found = curve(grid_of(values), "guidance_scale", SCORE.name)
    assert found.lines == ((0.0, 0.0, 0.0),)


def test_the_band_of_two_levels_is_that_of_the_paired_test() -> None:
    """Half the interval of the difference, times the root of 2 (Morey 2008)."""
    found = curve(grid_of(SLEEP), "guidance_scale", SCORE.name)
    paired = only(grid_of(SLEEP)).interval
    assert paired is not None
    for mean, band in zip(found.mean, found.band, strict=True):
        assert mean is not None
        assert band is not None
        assert band.high - band.low == pytest.approx((paired.high - paired.low) / np.sqrt(2))
        assert (band.high + band.low) / 2 == pytest.approx(mean)


@pytest.mark.parametrize("values", [np.array([[1.0, 2.0]]), np.array([[1.0, np.nan], [2.0, 3.0]])])
def test_one_whole_line_has_no_band(values: np.ndarray) -> None:
    found = curve(grid_of(values), "guidance_scale", SCORE.name)
    assert found.complete == 1
    assert (found.mean, found.band) == ((None, None), (None, None))


def test_an_axis_of_one_value_has_nothing_to_compare() -> None:
    grid = grid_of(np.array([[1.0], [2.0]]))
    assert differences(grid, "guidance_scale", SCORE.name) == []
    assert curve(grid, "guidance_scale", SCORE.name).band == (None,)


def test_a_name_that_the_grid_does_not_have() -> None:
    grid = grid_of(SLEEP)
    with pytest.raises(KeyError, match="steps"):
        differences(grid, "steps", SCORE.name)
    with pytest.raises(KeyError, match="ssim"):
        differences(grid, "guidance_scale", "ssim")


def test_a_grid_says_what_is_wrong_with_a_cell() -> None:
    cell = Observation(levels=(1,), block="5", values={})
    with pytest.raises(ValueError, match=r"\(1,\) of seed 5 comes twice"):
        EffectGrid(factors=factors(2), measures=(SCORE,), observations=(cell, cell))
    with pytest.raises(ValueError, match=r"\(1,\) is no cell of a grid of \(1,\)"):
        EffectGrid(factors=factors(1), measures=(SCORE,), observations=(cell,))
    with pytest.raises(ValueError, match="2 levels, 1 numbers"):
        Factor(name="steps", label="Steps", levels=("1", "2"), numbers=(1,))
