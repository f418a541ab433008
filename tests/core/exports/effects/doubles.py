"""A stored sweep of small pictures whose numbers are known."""

from __future__ import annotations

from dataclasses import dataclass

from core.exports.effects.baselines import base_digests, pairs_of
from core.exports.measuring import Known, measure_missing
from core.runs.store.store import Store
from core.sweeps.axis import parse_axis
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep
from tests.core.runs.doubles import describe, generation, info, settings

MISSING = "Not computed"


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A sweep, its plan, and why which cells have no picture."""

    store: Store
    sweep: Sweep
    plan: Plan
    reasons: dict[int, str]

    def bases(self, against: str = "baseline") -> list[str]:
        return base_digests(self.sweep, self.plan, against)

    def known(self, against: str = "baseline") -> Known:
        done = {d for n, d in enumerate(self.plan.digests) if n not in self.reasons}
        pairs = pairs_of(self.plan, self.bases(against), done)
        return measure_missing(self.store, sorted(done), pairs)


def guidance_by_seed(guidance: str = "3, 7", seeds: str = "1, 2, 3") -> Sweep:
    return Sweep(
        base=settings(1, width=16, height=16),
        x=parse_axis("guidance_scale", guidance),
        y=parse_axis("seed", seeds) if seeds else None,
    )


def put_sweep(store: Store, sweep: Sweep, *, without: tuple[int, ...] = ()) -> Stored:
    """Every cell but those of the indices `without` stored."""
    plan = make_plan(sweep, describe=describe, holds=store.holds)
    assert not plan.problems
    for index, cell in enumerate(plan.cells):
        if index not in without:
            store.put(generation(cell.settings), info(), clip_score=20.0 + cell.x + cell.y)
    return Stored(store=store, sweep=sweep, plan=plan, reasons=dict.fromkeys(without, MISSING))
