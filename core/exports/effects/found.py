"""All that a stored sweep supports: measured, compared and taken apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from core.exports.effects.baselines import base_digests, pairs_of
from core.exports.effects.grid import MeasuredGrid, measured_grid
from core.exports.measuring import measure_missing
from core.output.effects import effects
from core.output.effects.bootstrap import RESAMPLES
from core.output.effects.result import Effects, ShareTable
from core.output.effects.shares import picture_shares
from core.output.numbers.cell_numbers import Place
from core.runs.store.measured.own import OwnNumbers
from core.runs.store.store import Store
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep

MOST_RESAMPLED = 12
"""Comparisons of a measure up to which each has a bootstrap beside its t test: it takes 0.1 s."""


def stored_grid(
    store: Store,
    sweep: Sweep,
    plan: Plan,
    reasons: Mapping[int, str],
    *,
    against: str = "baseline",
    reference: Place = (0, 0, 0),
) -> MeasuredGrid:
    """The grid of a sweep's stored cells, whose pictures are measured first where they were not.
    Raises StoreError.
    """
    bases = base_digests(sweep, plan, against, reference)
    done = {digest for index, digest in enumerate(plan.digests) if index not in reasons}
    known = measure_missing(
        store, sorted(done), pairs_of(plan, bases, done), model=sweep.base.model
    )
    own = OwnNumbers(store.database).of(done)
    return measured_grid(sweep, plan, known, reasons=reasons, bases=bases, own=own)


def find_effects(
    measured: MeasuredGrid, names: Collection[str] | None = None, *, with_pictures: bool = True
) -> Effects:
    """What the grid supports of the measures of these names, all unless given. `with_pictures`
    takes the pictures themselves apart too.
    """
    grid = measured.grid
    chosen = tuple(one for one in grid.measures if names is None or one.name in names)
    pairs: dict[str, list[tuple[int, int]]] = {}
    for factor in grid.factors:
        order = factor.order()
        ends = [(order[0], order[-1])] if len(order) > 2 else []  # beside each step
        pairs[factor.name] = [*ends, *factor.neighbours()]
    found = effects.find_effects(
        replace(grid, measures=chosen),
        measured.spaces if with_pictures else (),
        pairs=pairs,
        resamples=RESAMPLES if sum(map(len, pairs.values())) <= MOST_RESAMPLED else 0,
    )
    return replace(found, left_out=(*found.left_out, *measured.notes))


def shares_of_pictures(measured: MeasuredGrid) -> tuple[ShareTable, ...]:
    """How much of the distances between the pictures goes with each axis and with the seed, in
    each of their spaces.
    """
    return tuple(picture_shares(measured.grid, space) for space in measured.spaces)
