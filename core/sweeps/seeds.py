"""Seeds along an axis: what cells are paired by, and more of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.diffusion.settings import MAX_SEED
from core.sweeps.axis import SIDES, Axis
from core.sweeps.sweep import Sweep

BLOCK_AXES: Mapping[str, str] = {"seed": "seed", "variation_seed": "variation seed"}
"""Axes that cells are paired by, the first that a sweep has, and what one of their values is."""


def block_side(sweep: Sweep) -> str | None:
    """The side whose values cells are paired by, None where no seed varies by itself."""
    for name in BLOCK_AXES:
        for side, axis in sweep.axes().items():
            if axis.name == name and axis.linked is None:
                return side
    return None


def with_more_seeds(sweep: Sweep, count: int) -> Sweep | None:
    """The sweep with `count` seeds more, which keeps every cell that it has: the next ones along
    its axis of seeds, else a new axis that begins with its own. None where no side is free.
    """
    side = block_side(sweep)
    if side is not None:
        axis = sweep.axes()[side]
        return replace(sweep, **{side: replace(axis, values=_more(axis.values, count))})
    free = [side for side in SIDES if side not in sweep.axes()]
    if not free:
        return None
    seeds = Axis(name="seed", values=_more((sweep.base.seed,), count))
    # Rows are the place of seeds: what varies is then compared along the columns.
    side = "y" if "y" in free else free[0]
    return replace(sweep, new_seed="", **{side: seeds})


def _more(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    """With as many new ones, counted on from the last; past the greatest seed from 0."""
    found, last = list(seeds), seeds[-1]
    while len(found) < len(seeds) + count:
        last = (last + 1) % (MAX_SEED + 1)
        if last not in found:
            found.append(last)
    return tuple(found)
