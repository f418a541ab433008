"""Shares of variance against independent loops, closed forms and simulated grids."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from core.output.effects.balanced import balanced_part
from core.output.effects.components import Component, of_embedding, of_numbers, of_products
from core.output.effects.grid import EffectGrid, PictureSpace
from core.output.effects.permutation import permutation_p, smallest_p
from core.output.effects.result import Share, ShareTable
from core.output.effects.shares import measure_shares, picture_shares, shares_of
from tests.core.output.effects.grids import SCORE, grid_of

NO_CHANCE = {"resamples": 0, "permutations": 0}


def by_label(table: ShareTable) -> dict[str, Share]:
    return {share.label: share for share in table.shares}


def space_of(grid: EffectGrid, embedding: np.ndarray, *, distances: bool = False) -> PictureSpace:
    if distances:
        return PictureSpace(name="p", label="pixels", distances=cdist(embedding, embedding))
    return PictureSpace(name="p", label="pixels", embedding=embedding)


def pictures(shape: tuple[int, ...], size: int, seed: int = 0) -> tuple[EffectGrid, np.ndarray]:
    """A grid and a random picture a cell (N, size), with effects of every kind."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(*shape, size))
    for axis, length in enumerate(shape):
        values += draw.normal(size=(length, *[1] * (len(shape) - axis - 1), size))
    return grid_of(values[..., 0]), values.reshape(-1, size)


def textbook(values: np.ndarray) -> dict[str, float]:
    """Sums of squares of blocks x A x B by loops over cells, as Montgomery's chapter 5 has them."""
    grand = values.mean()
    squares = dict.fromkeys(
        ("Seed", "Guidance scale", "Scheduler", "Guidance scale × Scheduler"), 0.0
    )
    for r, a, b in np.ndindex(values.shape):
        of_a, of_b = values[:, a].mean(), values[:, :, b].mean()
        squares["Seed"] += (values[r].mean() - grand) ** 2
        squares["Guidance scale"] += (of_a - grand) ** 2
        squares["Scheduler"] += (of_b - grand) ** 2
        squares["Guidance scale × Scheduler"] += (values[:, a, b].mean() - of_a - of_b + grand) ** 2
    total = ((values - grand) ** 2).sum()
    return {name: float(square / total) for name, square in squares.items()}


def test_the_shares_are_the_textbooks_sums_of_squares() -> None:
    values = np.random.default_rng(1).normal(size=(5, 3, 2)) + 2 * np.arange(3)[:, None]
    found = by_label(measure_shares(grid_of(values), SCORE.name, **NO_CHANCE))
    expected = textbook(values)
    rest = found.pop("Differs by seed")
    assert {name: share.share for name, share in found.items()} == pytest.approx(expected)
    assert rest.share == pytest.approx(1 - sum(expected.values()))
    assert [share.kind for share in found.values()] == ["factor", "factor", "interaction", "block"]


def test_one_factor_against_scipys_f() -> None:
    """A randomised block design of one factor with two levels: F is the square of the paired t."""
    values = np.random.default_rng(2).normal(size=(6, 2))
    found = by_label(measure_shares(grid_of(values), SCORE.name, **NO_CHANCE))
    f = found["Guidance scale"].share / (found["Differs by seed"].share / 5)
    t = stats.ttest_rel(values[:, 0], values[:, 1]).statistic
    assert f == pytest.approx(t**2)


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)),
    st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_the_shares_add_to_1(shape: tuple[int, ...], seed: int) -> None:
    if math.prod(shape) < 2:
        return
    grid, embedding = pictures(shape, 3, seed)
    for table in (
        measure_shares(grid, SCORE.name, **NO_CHANCE),
        picture_shares(grid, space_of(grid, embedding), **NO_CHANCE),
    ):
        assert sum(share.share for share in table.shares) == pytest.approx(1)
        assert all(share.share >= -1e-9 for share in table.shares)


def test_a_picture_of_one_number_is_that_number() -> None:
    values = np.random.default_rng(3).normal(size=(6, 3, 2))
    grid = grid_of(values)
    one = measure_shares(grid, SCORE.name, resamples=199, permutations=199)
    for distances in (False, True):
        space = space_of(grid, values.reshape(-1, 1), distances=distances)
        other = picture_shares(grid, space, resamples=199, permutations=199)
        for mine, theirs in zip(one.shares, other.shares, strict=True):
            assert theirs.share == pytest.approx(mine.share)
            assert theirs.by_chance == pytest.approx(mine.by_chance)
            assert theirs.p == mine.p, "the same permutations"
            assert theirs.interval is not None
            assert mine.interval is not None
            # The last bits decide which resamples count as equal to the whole.
            assert theirs.interval.low == pytest.approx(mine.interval.low, abs=0.005)


def test_an_embeddings_shares_are_sums_over_its_entries() -> None:
    grid, embedding = pictures((5, 3, 2), 7)
    found = by_label(picture_shares(grid, space_of(grid, embedding), **NO_CHANCE))
    total = np.square(embedding - embedding.mean(0)).sum(0)
    tables = [textbook(column.reshape(5, 3, 2)) for column in embedding.T]
    for name in tables[0]:
        expected = sum(table[name] * own for table, own in zip(tables, total, strict=True))
        assert found[name].share == pytest.approx(expected / total.sum())


def test_one_way_is_andersons_permanova() -> None:
    """Anderson 2001: SS_total from all squared distances, SS_within from those within groups."""
    grid, embedding = pictures((6, 3), 4)
    apart = cdist(embedding, embedding, "cityblock")  # not Euclidean: no points have these
    level = np.array([one.levels[0] for one in grid.observations])
    total = np.square(apart).sum() / 2 / len(apart)
    within = sum(
        np.square(apart[np.ix_(level == one, level == one)]).sum() / 2 / 6 for one in range(3)
    )
    space = PictureSpace(name="p", label="pixels", distances=apart)
    found = by_label(picture_shares(grid, space, **NO_CHANCE))
    assert found["Guidance scale"].share == pytest.approx(1 - within / total)


def test_p_is_that_of_all_permutations() -> None:
    """Two levels, five blocks: 2^5 ways to turn the pairs round, each as likely."""
    values = np.random.default_rng(4).normal(0.6, 1, size=(5, 2)) * [0, 1]
    apart = values[:, 1] - values[:, 0]
    ways = np.array(list(itertools.product([-1, 1], repeat=5)))
    exact = (np.abs(ways @ apart) >= abs(apart.sum()) - 1e-9).mean()
    found = by_label(measure_shares(grid_of(values), SCORE.name, permutations=9999))
    assert found["Guidance scale"].p == pytest.approx(exact, abs=0.02)


def component(values: np.ndarray, axes: tuple[int, ...]) -> Component:
    return next(one for one in of_numbers(values).components if one.axes == axes)


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 2), (0,)), ((2, 3), (0,)), ((3, 2, 2), (0, 1)), ((2, 3, 2), (0, 1))]
)
def test_the_smallest_p_is_the_part_of_permutations_that_change_nothing(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    """The same effect in every block: no other arrangement has as large a mean."""
    effect = np.random.default_rng(6).normal(size=shape[1:])
    one = component(np.broadcast_to(effect, shape), axes)
    assert permutation_p(one, 9999)[0] == pytest.approx(smallest_p(one), abs=0.02)


@pytest.mark.parametrize("axes", [(0,), (0, 1)])
def test_permutations_hold_their_level(axes: tuple[int, ...]) -> None:
    """1,000 grids without the effect, with strong seeds and an effect of the other factors."""
    draw = np.random.default_rng(7)
    wrong = 0
    for _ in range(1000):
        values = 3 * draw.normal(size=(8, 1, 1)) + draw.standard_t(4, size=(8, 3, 2))
        values = values + 2 * np.arange(2) + (np.arange(3)[:, None] if axes == (0, 1) else 0)
        wrong += permutation_p(component(values, axes), 199)[0] <= 0.05
    assert 0.03 <= wrong / 1000 <= 0.06


def test_permutations_of_pictures_hold_their_level() -> None:
    draw = np.random.default_rng(8)
    wrong = 0
    for _ in range(500):
        points = draw.normal(size=(6, 2, 10)) + 2 * draw.normal(size=(6, 1, 10))
        points = points.reshape(12, 10)
        (one,) = of_products(points @ points.T, (6, 2)).components
        wrong += permutation_p(one, 199)[0] <= 0.05
    assert wrong / 500 <= 0.06


def test_permutations_of_numbers_and_of_their_products_are_the_same() -> None:
    """Of one number a picture the distances are those of the numbers."""
    draw = np.random.default_rng(10)
    for _ in range(10):
        values = draw.normal(size=(7, 3, 2)) + 0.5 * np.arange(3)[:, None]
        flat = values.ravel()[:, None] - values.mean()
        of_pictures = of_products(flat @ flat.T, values.shape).components
        for one, other in zip(of_numbers(values).components, of_pictures, strict=True):
            assert one.axes == other.axes
            assert permutation_p(one, 499) == permutation_p(other, 499)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (3, 2, 2, 3), (6, 1), (1, 4)])
def test_an_embedding_is_taken_apart_as_its_products_are(shape: tuple[int, ...]) -> None:
    points = np.random.default_rng(11).normal(size=(int(np.prod(shape)), 6)) + 3
    centred = points - points.mean(axis=0)
    one, other = of_embedding(points, shape), of_products(centred @ centred.T, shape)
    assert np.allclose(one.blocks, other.blocks)
    assert np.allclose(one.total, other.total)
    assert len(one.components) == len(other.components)
    for part, same in zip(one.components, other.components, strict=True):
        assert (part.axes, part.levels, part.cells) == (same.axes, same.levels, same.cells)
        assert np.allclose(part.parts, same.parts)


def test_many_points_are_taken_apart_as_exactly_as_a_figure_shows() -> None:
    shape = (30, 20)
    points = (
        np.random.default_rng(12).normal(size=(600, 40)) + np.tile(np.arange(20) / 9, 30)[:, None]
    )
    centred = points - points.mean(axis=0)
    one, other = of_embedding(points, shape), of_products(centred @ centred.T, shape)
    counts = np.ones((1, 30))
    assert np.allclose(shares_of(one, counts), shares_of(other, counts), atol=1e-6)
    p = [permutation_p(layout.components[0], 199) for layout in (one, other)]
    assert p[0] == p[1]


def test_a_strong_effect_is_found_and_a_missing_one_is_by_chance() -> None:
    draw = np.random.default_rng(9)
    points = draw.normal(size=(8, 3, 2, 20)) + 4 * draw.normal(size=(3, 1, 20))
    grid = grid_of(points[..., 0])
    found = by_label(picture_shares(grid, space_of(grid, points.reshape(-1, 20)), permutations=999))
    strong, none = found["Guidance scale"], found["Scheduler"]
    assert strong.share > 0.8
    assert strong.p == pytest.approx(0.001)
    assert none.p is not None
    assert none.by_chance is not None
    assert none.p > 0.05
    assert none.share < 2 * none.by_chance < 0.01
    assert none.interval is not None
    assert none.interval.holds(none.share)


def test_by_chance_is_the_mean_over_permutations() -> None:
    """All 3!^2 of two blocks: the second is permuted, the first stays."""
    values = np.random.default_rng(10).normal(size=(6, 3))
    found = by_label(measure_shares(grid_of(values), SCORE.name, **NO_CHANCE))["Guidance scale"]
    draw = np.random.default_rng(0)
    mixed = draw.permuted(np.broadcast_to(values, (20_000, 6, 3)), axis=-1)
    squares = 6 * np.square(mixed.mean(1) - values.mean()).sum(-1)
    total = np.square(values - values.mean()).sum()
    assert found.by_chance == pytest.approx((squares / total).mean(), rel=0.02)


def test_the_interval_holds_the_share_of_all_seeds_there_are() -> None:
    """How often, with 8 seeds, its text says: SciPy's bootstrap is not exact here."""
    draw = np.random.default_rng(12)
    variances = {"Guidance scale": 2 / 3, "Seed": 1 + 0.5 / 3, "Differs by seed": 0.5 * 2 / 3}
    total = sum(variances.values())
    held = dict.fromkeys(variances, 0)
    for _ in range(200):
        values = draw.normal(size=(8, 1)) + np.arange(3) + draw.normal(0, math.sqrt(0.5), (8, 3))
        found = by_label(measure_shares(grid_of(values), SCORE.name, resamples=999, permutations=0))
        for name, variance in variances.items():
            interval = found[name].interval
            held[name] += interval is not None and interval.holds(variance / total)
    assert all(0.78 <= count / 200 <= 0.99 for count in held.values()), held


def test_one_block_is_what_happened_once() -> None:
    found = measure_shares(grid_of(np.array([[[1.0, 2.0], [4.0, 6.0]]])), SCORE.name)
    assert [share.kind for share in found.shares] == ["factor", "factor", "interaction"]
    assert {(one.interval, one.p, one.by_chance) for one in found.shares} == {(None, None, None)}


@pytest.mark.parametrize(("blocks", "has"), [(4, False), (5, True)])
def test_no_p_without_its_interval(blocks: int, has: bool) -> None:
    grid, embedding = pictures((blocks, 3), 4)
    found = by_label(picture_shares(grid, space_of(grid, embedding)))["Guidance scale"]
    assert (found.p is not None, found.interval is not None) == (has, has)


def test_seeds_alone_are_all_there_is() -> None:
    found = measure_shares(grid_of(np.array([1.0, 2.0, 4.0])), SCORE.name)
    assert [(share.kind, share.share) for share in found.shares] == [("block", 1.0)]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_what_does_not_differ_has_no_shares(value: float) -> None:
    grid = grid_of(np.full((3, 2), value))
    found = measure_shares(grid, SCORE.name)
    assert (found.shares, found.note) == ((), "The same in all 6 cells.")
    space = space_of(grid, np.full((6, 3), value))
    assert picture_shares(grid, space).note == "The same in all 6 cells."


def test_missing_cells_leave_the_largest_whole_part() -> None:
    values = np.random.default_rng(0).normal(size=(6, 3, 2))
    values[1, 0, 0] = values[1, 2, 1] = np.nan
    found = measure_shares(grid_of(values), SCORE.name, **NO_CHANCE)
    whole = measure_shares(grid_of(np.delete(values, 1, axis=0)), SCORE.name, **NO_CHANCE)
    assert [one.share for one in found.shares] == [one.share for one in whole.shares]
    assert (found.blocks, found.cells, found.all_cells) == (5, 30, 36)
    assert found.note == ("2 cells are missing: without seed 1 the other 5 seeds have all cells.")


def test_a_value_that_failed_everywhere_goes() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 2))
    values[:, 1] = np.nan
    found = measure_shares(grid_of(values), SCORE.name, **NO_CHANCE)
    assert found.cells == 16
    assert "without Guidance scale 1 the other 4 seeds" in found.note


def test_a_picture_that_is_missing_is_a_missing_cell() -> None:
    grid, embedding = pictures((5, 3), 4)
    broken = embedding.copy()
    broken[4] = np.nan
    apart = cdist(embedding, embedding)
    apart[4] = apart[:, 4] = np.nan
    one = picture_shares(grid, space_of(grid, broken), **NO_CHANCE)
    other = picture_shares(
        grid, PictureSpace(name="p", label="pixels", distances=apart), **NO_CHANCE
    )
    assert one.cells == 12
    for mine, theirs in zip(one.shares, other.shares, strict=True):
        assert mine.share == pytest.approx(theirs.share)


def test_nothing_left() -> None:
    values = np.full((2, 2), np.nan)
    values[0, 0] = 1
    found = measure_shares(grid_of(values), SCORE.name)
    assert (found.shares, found.blocks) == ((), 1)


@given(st.integers(0, 10_000), st.floats(0, 0.6))
@settings(max_examples=50)
def test_the_balanced_part_is_balanced_and_no_slice_could_be_added(seed: int, gaps: float) -> None:
    there = np.random.default_rng(seed).random((5, 3, 3)) >= gaps
    kept = balanced_part(there)
    assert there[np.ix_(*kept)].all()
    if there.all():
        assert [len(one) for one in kept] == [5, 3, 3]


@given(st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_the_order_of_the_observations_does_not_matter(shuffler: random.Random) -> None:
    grid, embedding = pictures((5, 3, 2), 4)
    order = list(range(len(grid.observations)))
    shuffler.shuffle(order)
    other = replace(grid, observations=tuple(grid.observations[index] for index in order))
    options = {"resamples": 99, "permutations": 99}
    assert measure_shares(grid, SCORE.name, **options) == measure_shares(
        other, SCORE.name, **options
    )
    one = picture_shares(grid, space_of(grid, embedding), **options)
    two = picture_shares(other, space_of(other, embedding[order]), **options)
    for mine, theirs in zip(one.shares, two.shares, strict=True):
        assert mine.share == pytest.approx(theirs.share)
        assert mine.p == theirs.p


def test_a_space_has_a_row_for_each_observation() -> None:
    grid, embedding = pictures((2, 2), 3)
    with pytest.raises(ValueError, match="a row for each of 4 observations"):
        picture_shares(grid, space_of(grid, embedding[:3]))
    with pytest.raises(ValueError, match="either embedding"):
        PictureSpace(name="p", label="pixels")
    with pytest.raises(ValueError, match="distances are square"):
        PictureSpace(name="p", label="pixels", distances=np.zeros((2, 3)))
