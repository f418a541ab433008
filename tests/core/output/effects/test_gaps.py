"""Distances of neighbouring values, against a loop over all pairs of cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.output.effects.gaps import gaps
from core.output.effects.grid import EffectGrid, PictureSpace
from tests.core.output.effects.grids import grid_of


def by_loop(
    grid: EffectGrid, distance: np.ndarray, factor: int, pair: tuple[int, int]
) -> list[float]:
    """Each two cells that differ in this factor alone."""
    found: list[float] = []
    for i, one in enumerate(grid.observations):
        for j, other in enumerate(grid.observations):
            same = all(
                a == b
                for n, (a, b) in enumerate(zip(one.levels, other.levels, strict=True))
                if n != factor
            )
            if one.block == other.block and same:
                ends = (one.levels[factor], other.levels[factor])
                if ends == pair and math.isfinite(distance[i, j]):
                    found.append(float(distance[i, j]))
    return found


@pytest.mark.parametrize("missing", [(), (0, 5, 17)])
@pytest.mark.parametrize("factor", [0, 1])
def test_the_mean_is_over_all_pairs_that_exist(missing: tuple[int, ...], factor: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4, 3, 2))
    values.ravel()[list(missing)] = np.nan
    grid = grid_of(values)
    embedding = rng.normal(size=(len(grid.observations), 5))
    embedding[2] = np.nan  # a picture whose file is gone
    distance = np.array([[math.dist(a, b) for b in embedding] for a in embedding])
    name = grid.factors[factor].name
    pairs = grid.factors[factor].neighbours()
    for space in (
        PictureSpace(name="clip", label="CLIP", embedding=embedding),
        PictureSpace(name="other", label="other", distances=distance),
    ):
        for pair, gap in zip(pairs, gaps(grid, space, name, pairs), strict=True):
            expected = by_loop(grid, distance, factor, pair)
            assert gap.distance == pytest.approx(np.mean(expected))
            assert gap.pairs == len(expected)
            assert gap.possible == 24 // values.shape[1 + factor]
            assert (gap.start, gap.end) == pair


def test_without_a_pair_nothing_is_known() -> None:
    grid = grid_of(np.array([[1.0, np.nan, 3.0]]))
    space = PictureSpace(name="clip", label="CLIP", embedding=np.array([[0.0], [4.0]]))
    first, across = gaps(grid, space, "guidance_scale", [(0, 1), (0, 2)])
    assert (math.isnan(first.distance), first.pairs, first.possible) == (True, 0, 1)
    assert across.distance == 4
    empty = replace(grid, observations=())
    none = PictureSpace(name="clip", label="CLIP", embedding=np.zeros((0, 1)))
    assert gaps(empty, none, "guidance_scale", [(0, 1)])[0].pairs == 0


def test_a_factor_that_is_not_there_is_an_error() -> None:
    grid = grid_of(np.ones((1, 2)))
    space = PictureSpace(name="clip", label="CLIP", embedding=np.zeros((2, 1)))
    with pytest.raises(KeyError):
        gaps(grid, space, "nothing", [(0, 1)])
