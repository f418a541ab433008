"""How far apart the pictures of two values of an axis are, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.output.effects.grid import EffectGrid, PictureSpace


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Two levels of a factor and the mean distance of their pictures, over the `pairs` of cells
    that differ in nothing else: NaN where no pair of the `possible` ones exists.
    """

    start: int
    end: int
    distance: float
    pairs: int
    possible: int


def gaps(
    grid: EffectGrid, space: PictureSpace, factor: str, pairs: Sequence[tuple[int, int]]
) -> list[Gap]:
    """The gaps between these pairs of levels. Distances are Euclidean in the space's embedding, or
    its own. Raises KeyError for a factor that the grid does not have.
    """
    grid.factor(factor)
    axis = [one.name for one in grid.factors].index(factor)
    possible = len(grid.blocks()) * math.prod(
        length for other, length in enumerate(grid.shape()) if other != axis
    )
    there = np.asarray(np.isfinite(_vectors(space)).all(axis=1))
    places: dict[tuple[object, ...], dict[int, int]] = {}
    for index, one in enumerate(grid.observations):
        if there[index] or space.distances is not None:
            others = (one.block, *one.levels[:axis], *one.levels[axis + 1 :])
            places.setdefault(others, {})[one.levels[axis]] = index
    found: list[Gap] = []
    for start, end in pairs:
        rows = [(at[start], at[end]) for at in places.values() if start in at and end in at]
        apart = _apart(space, np.array(rows, int).reshape(-1, 2))
        apart = apart[np.isfinite(apart)]
        found.append(
            Gap(
                start=start,
                end=end,
                distance=float(apart.mean()) if apart.size else math.nan,
                pairs=int(apart.size),
                possible=possible,
            )
        )
    return found


def _vectors(space: PictureSpace) -> np.ndarray:
    vectors = space.distances if space.embedding is None else space.embedding
    assert vectors is not None  # PictureSpace has one of them
    return vectors


def _apart(space: PictureSpace, rows: np.ndarray) -> np.ndarray:
    """(pairs, 2) of indices -> (pairs,) of distances."""
    vectors = _vectors(space)
    if space.distances is not None:
        return vectors[rows[:, 0], rows[:, 1]]
    return np.linalg.norm(vectors[rows[:, 0]] - vectors[rows[:, 1]], axis=1)
