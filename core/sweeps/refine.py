"""Values between those of an axis, where its pictures differ most."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from core.sweeps.axis import SIDE_NAMES, Axis, row_of
from core.sweeps.seeds import BLOCK_AXES
from core.sweeps.sweep import Sweep

FINEST = 100
"""The finest step of a number that is not whole: this part of its control's step."""

Values = tuple[Any, ...]
"""One value of each part of an axis."""
Pair = tuple[int, int]
"""Two neighbouring values of an axis, by their indices."""


@dataclass(frozen=True, kw_only=True)
class Between:
    """A value that was added, between two others of the axis, as texts; `distance` is that of
    their pictures, which is assumed (half of the gap before) where one of them was added too.
    """

    value: str
    low: str
    high: str
    distance: float
    is_assumed: bool


@dataclass(frozen=True, kw_only=True)
class Refined:
    """A sweep with more values on one side, and which, in the order in which they were chosen."""

    sweep: Sweep
    added: tuple[Between, ...]


def neighbours(axis: Axis) -> list[Pair]:
    """Each value and the next by size; of two axes that move together, and of names, as listed."""
    order = list(range(len(axis.values)))
    if axis.linked is None and _is_number(axis):
        order.sort(key=axis.values.__getitem__)
    return list(itertools.pairwise(order))


def cells_of_value(sweep: Sweep, side: str) -> int:
    """How many cells one value more of a side has: a column, a row or a page."""
    return sweep.size() // len(sweep.axes()[side].values)


def why_not(sweep: Sweep, side: str) -> str:
    """Why no value can be added between those of a side, whatever its pictures; "" else."""
    axis = sweep.axes()[side]
    label = axis.label()
    if any(part.name in BLOCK_AXES for part in axis.parts()):
        return f"{label}: nothing lies between two seeds; add seeds instead."
    if not any(_is_number(part) for part in axis.parts()):
        return f"{label}: its values are names, and nothing lies between two names."
    if len(axis.values) < 2:
        return f"{label}: one value has no neighbour; give it a second."
    if sweep.new_seed and SIDE_NAMES[side].removesuffix("s") == sweep.new_seed:
        return (
            f"{label}: each of its values has a seed of its own, which one between them would "
            "shift; use Seed as an axis instead."
        )
    return ""


def with_values(
    sweep: Sweep,
    side: str,
    distances: Mapping[Pair, float],
    count: int,
    *,
    allowed: Callable[[Sweep], bool] = lambda _: True,
) -> Refined:
    """The sweep with up to `count` values more on a side, and all cells that it has.

    `distances` are of the pictures of `neighbours`; those that are not there, and those whose
    pictures do not differ, stay as they are. The largest gap is cut in its arithmetic middle, each
    half is taken for half as large until it is measured, and so on. Whole numbers are rounded down,
    others to FINEST, and a value that is there already is none: that gap is done. `allowed` judges
    a sweep of the new value alone.
    """
    axis = sweep.axes()[side]
    parts = axis.parts()
    values: list[Values] = list(zip(*(part.values for part in parts), strict=True))
    gaps = [
        (distances[pair], values[pair[0]], values[pair[1]], False)
        for pair in neighbours(axis)
        if distances.get(pair, 0) > 0
    ]
    added: list[Between] = []
    while gaps and len(added) < count:
        largest = max(range(len(gaps)), key=lambda index: (gaps[index][0], -index))
        distance, low, high, is_assumed = gaps.pop(largest)
        middle = _middle(parts, low, high)
        if middle is None or middle in values:
            continue
        if not allowed(replace(sweep, **{side: _axis(axis, [middle])})):
            continue
        # After the one that stands first: an axis that falls goes on falling, and the first value,
        # to which others may be compared, stays the first.
        values.insert(min(values.index(low), values.index(high)) + 1, middle)
        # In their place, so that of equal gaps the lower is cut first.
        gaps[largest:largest] = [
            (distance / 2, low, middle, True),
            (distance / 2, middle, high, True),
        ]
        added.append(
            Between(
                value=_shown(parts, middle),
                low=_shown(parts, low),
                high=_shown(parts, high),
                distance=distance,
                is_assumed=is_assumed,
            )
        )
    return Refined(sweep=replace(sweep, **{side: _axis(axis, values)}), added=tuple(added))


def only_new(before: Sweep, after: Sweep) -> Sweep:
    """The cells of `after` that are not in `before`, which it extends by values of one side; all
    cells where more was changed.
    """
    if replace(after, x=None, y=None, z=None) != replace(before, x=None, y=None, z=None):
        return after
    for side, axis in after.axes().items():
        old = before.axes().get(side)
        if axis == old:
            continue
        parts = axis.parts()
        values: list[Values] = list(zip(*(part.values for part in parts), strict=True))
        kept = values[:1]  # of a new axis the first is what all cells had
        if old is not None:
            kept = list(zip(*(part.values for part in old.parts()), strict=True))
        added = [value for value in values if value not in kept]
        if added:
            return replace(after, **{side: _axis(axis, added)})
    return after


def _is_number(part: Axis) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in part.values
    )


def _middle(parts: tuple[Axis, ...], low: Values, high: Values) -> Values | None:
    """The middle of each part; None where two names differ."""
    found: list[Any] = []
    for part, one, other in zip(parts, low, high, strict=True):
        if one == other:
            found.append(one)
        elif not _is_number(part):
            return None
        else:
            found.append(_middle_of(part, one, other))
    return tuple(found)


def _middle_of(part: Axis, one: float, other: float) -> float:
    row = row_of(part)
    if row.kind is int:
        return (int(one) + int(other)) // 2
    middle = (Decimal(repr(one)) + Decimal(repr(other))) / 2
    finest = Decimal(repr(row.step or 1)) / FINEST
    return float((middle / finest).quantize(Decimal(1), ROUND_HALF_EVEN) * finest)


def _axis(axis: Axis, values: list[Values]) -> Axis:
    columns = [tuple(column) for column in zip(*values, strict=True)]
    linked = replace(axis.linked, values=columns[1]) if axis.linked else None
    return replace(axis, values=columns[0], linked=linked)


def _shown(parts: tuple[Axis, ...], values: Values) -> str:
    return ", ".join(row_of(part).show(one) for part, one in zip(parts, values, strict=True))
