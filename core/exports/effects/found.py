"""All that a stored sweep supports: measured, compared and taken apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.exports.effects.baselines import base_digests, pairs_of
from core.exports.effects.grid import MeasuredGrid, measured_grid
from core.exports.measuring import measure_missing
from core.output.effects.paired import RESAMPLES, corrected, curve, differences
from core.output.effects.result import Curve, Difference, Effects
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
    chosen = [one for one in grid.measures if names is None or one.name in names]
    count = sum(len(factor.neighbours()) for factor in grid.factors)
    resamples = RESAMPLES if count <= MOST_RESAMPLED else 0
    found: list[Difference] = []
    curves: list[Curve] = []
    for measure in chosen:
        of_measure: list[Difference] = []
        for factor in grid.factors:
            curves.append(curve(grid, factor.name, measure.name))
            pairs = factor.neighbours()
            order = factor.order()
            if len(order) > 2:  # from one end to the other, beside each step
                pairs = [(order[0], order[-1]), *pairs]
            of_measure += differences(grid, factor.name, measure.name, pairs, resamples=resamples)
        found += corrected(of_measure)
    return Effects(
        factors=grid.factors,
        measures=tuple(chosen),
        blocks=grid.blocks(),
        block_label=grid.block_label,
        curves=tuple(curves),
        differences=tuple(found),
        shares=(),
        missing=grid.missing,
        left_out=(*grid.left_out, *measured.notes),
        resamples=resamples,
        seed=0,
    )
