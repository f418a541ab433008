"""What would be added to a sweep, and what it would cost: for effects --refine."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from core.commands.console import UsageError, say
from core.commands.specs import plan_of
from core.exports.effects.grid import MeasuredGrid
from core.exports.effects.refine import Refinement, refinements
from core.output.effects.result import Effects
from core.runs.store.store import Store
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """A refinement and its plan, None where nothing can be added."""

    found: Refinement
    plan: Plan | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `sweep` as a saved sweep has it."""
        one, plan = self.found, self.plan
        return {
            "add": one.name,
            "values": list(one.added),
            "cells": one.cells,
            "to_compute": plan.to_compute if plan else 0,
            "unet_rows": plan.unet_rows if plan else 0,
            "seconds": plan.estimate.seconds if plan and plan.estimate else None,
            "why": list(one.reasons),
            "problem": one.problem,
            "sweep": one.sweep.to_dict() if one.sweep else None,
        }

    def lines(self) -> list[str]:
        """What to add and its cost in a line, and a line for each reason."""
        one, plan = self.found, self.plan
        if plan is None:
            return [f"cannot be refined: {one.problem}", *(f"  {why}" for why in one.reasons)]
        cost = f"{one.cells} cells more, {plan.to_compute} to compute, {plan.unet_rows} UNet rows"
        if plan.estimate is not None:
            cost += f", {plan.estimate.about} {max(1, round(plan.estimate.seconds))} s"
        head = f"refine: {one.label}: {', '.join(one.added)} ({cost})"
        return [head, *(f"  {why}" for why in one.reasons)]


def refined(
    store: Store,
    sweep: Sweep,
    measured: MeasuredGrid,
    effects: Effects,
    options: argparse.Namespace,
) -> list[Way] | None:
    """The ways to extend the sweep by up to options.refine cells, the best first; the first is
    kept under options.save. None where it is not asked for. Raises UsageError.
    """
    if options.refine is None:
        return None
    found = refinements(sweep, measured, effects, options.refine)
    if options.add:
        names = [one.name for one in found]
        found = [one for one in found if one.name == options.add]
        if not found:
            raise UsageError(f"--add {options.add}: use one of {', '.join(names)}")
    if options.save:
        best = found[0]
        if best.sweep is None:
            raise UsageError(f"nothing to save: {best.problem}")
        store.save_sweep(options.save, best.sweep)
        say(f'saved: "sweep {options.save}" computes it')
    return [
        Way(found=one, plan=plan_of(one.sweep, store, runs=True) if one.sweep else None)
        for one in found
    ]
