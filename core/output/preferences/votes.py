"""Vote: one answer to "which of these two", and the values that stand behind a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep

FIRST, SECOND, TIE = 1, 2, 0
"""What a vote may say."""

Pair = tuple[str, str]
"""The digests of two pictures, the smaller one first."""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """`first` was shown on the left and `second` on the right, by their digests; `choice` is
    FIRST, SECOND or TIE. `at` in Unix seconds. `informed`: the voter had seen results before.
    """

    voter: str
    first: str
    second: str
    choice: int
    at: float
    informed: bool = False

    @property
    def pair(self) -> Pair:
        return pair_of(self.first, self.second)

    @property
    def winner(self) -> str:
        """The digest of the picture that was preferred, "" for a tie."""
        return {FIRST: self.first, SECOND: self.second}.get(self.choice, "")


def pair_of(one: str, other: str) -> Pair:
    """The two in the order in which pairs are compared."""
    return (one, other) if one < other else (other, one)


def key_of(digests: Iterable[str]) -> str:
    """The name of the blind test of these pictures, whatever their places: 16 hex digits."""
    return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """What each picture of a sweep has of each value: `rows` by digest, (values,).

    `sides` are the axes in order and how many values each has. A picture that several cells share
    has a part of each of their values.
    """

    sides: Mapping[str, int]
    rows: Mapping[str, NDArray[np.float64]]

    @property
    def size(self) -> int:
        """How many values all axes have."""
        return sum(self.sides.values())

    def place(self, side: str, index: int) -> int:
        """The column of a value."""
        before = list(self.sides).index(side)
        return sum(list(self.sides.values())[:before]) + index

    def difference(self, first: str, second: str) -> NDArray[np.float64]:
        """What the first has and the second has not, (values,)."""
        return self.rows[first] - self.rows[second]


def design_of(sweep: Sweep, plan: Plan) -> Design:
    """The values behind every picture of a sweep."""
    sides = {side: len(axis.values) for side, axis in sweep.axes().items()}
    empty = Design(sides=sides, rows={})
    found: dict[str, list[NDArray[np.float64]]] = {}
    for cell, digest in zip(plan.cells, plan.digests, strict=True):
        row = np.zeros(empty.size)
        for side in sides:
            row[empty.place(side, getattr(cell, side))] = 1.0
        found.setdefault(digest, []).append(row)
    rows = {digest: np.mean(places, axis=0) for digest, places in found.items()}
    return Design(sides=sides, rows=rows)
