"""The largest part of a grid in which no cell is missing: sums of squares add up there alone."""

from __future__ import annotations

import math

import numpy as np

Kept = tuple[list[int], ...]
"""The indices that are kept of each dimension: blocks first, then each factor's levels."""


def balanced_part(there: np.ndarray) -> Kept:
    """(blocks, levels...) of bool -> what to keep, so that all cells of it are there.

    Slices are dropped, that which misses most cells first, among all dimensions or one of them;
    of these ways the one wins that keeps more than one index in most dimensions, then most cells.
    The very largest part is not sought: finding it takes exponential time. Any may be empty.
    """
    ways = [_dropped(there, range(there.ndim))]
    ways += [_dropped(there, [axis]) for axis in range(there.ndim)]

    def worth(kept: Kept) -> tuple[bool, int, int]:
        lengths = [len(one) for one in kept]
        return all(lengths), sum(length > 1 for length in lengths), math.prod(lengths)

    return max((kept for kept in ways if there[np.ix_(*kept)].all()), key=worth)


def _dropped(there: np.ndarray, axes: range | list[int]) -> Kept:
    kept: Kept = tuple(list(range(length)) for length in there.shape)
    while True:
        part = there[np.ix_(*kept)]
        if part.all():
            return kept
        worst: tuple[bool, float, int, int, int] | None = None
        for axis in axes:
            others = tuple(other for other in range(there.ndim) if other != axis)
            missing = 1 - part.mean(axis=others)
            index = int(missing.argmax())
            # A pair of levels is dropped last: with one level there is nothing to compare.
            spare = part.shape[axis] > 2
            rank = (spare, float(missing[index]), part.shape[axis], -axis, index)
            if missing[index] > 0 and (worst is None or rank > worst):
                worst = rank
        if worst is None:
            return kept
        del kept[-worst[3]][worst[4]]
