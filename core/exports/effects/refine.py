"""What a grid lacks: values where its pictures differ most, seeds where an interval is widest."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from core.diffusion.models.load import ModelError, describe
from core.exports.effects.grid import MeasuredGrid
from core.output.effects.gaps import Gap, gaps
from core.output.effects.result import LEVEL, Difference, Effects
from core.output.effects.words import interval_words
from core.sweeps.refine import Between, cells_of_value, neighbours, why_not, with_values
from core.sweeps.seeds import block_side, with_more_seeds
from core.sweeps.sweep import MAX_CELLS, Sweep

SEEDS = "seeds"


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """One way to extend a sweep: by values of the axis `name`, or by SEEDS.

    `sweep` has `cells` more than before, `added` says which values or seeds, and `reasons` why
    these, a sentence each. Where nothing can be added `sweep` is None and `problem` says why.
    `weight` is the distance of the gap that is cut first, 0 for seeds.
    """

    name: str
    label: str
    sweep: Sweep | None = None
    added: tuple[str, ...] = ()
    cells: int = 0
    reasons: tuple[str, ...] = ()
    problem: str = ""
    weight: float = 0.0


def refinements(
    sweep: Sweep, measured: MeasuredGrid, effects: Effects, budget: int
) -> list[Refinement]:
    """Every way to extend a sweep by up to `budget` cells: values of each axis, the one whose
    pictures differ most first, then seeds; those that cannot be come last.

    Distances are those of the first space of pictures that there is; the interval is the widest of
    the first measure of `effects`.
    """
    seeds = block_side(sweep)
    found = [_values(sweep, side, measured, budget) for side in sweep.axes() if side != seeds]
    found.sort(key=lambda one: -one.weight)
    found.append(_seeds(sweep, effects, budget))
    return sorted(found, key=lambda one: one.sweep is None)


def smallest_budget(sweep: Sweep) -> int:
    """The cells of one value or of one seed more, whichever is most."""
    costs = [cells_of_value(sweep, side) for side in sweep.axes()]
    return max(costs) if block_side(sweep) else sweep.size()


def _values(sweep: Sweep, side: str, measured: MeasuredGrid, budget: int) -> Refinement:
    axis = sweep.axes()[side]
    refused = partial(Refinement, name=axis.name, label=f"Values of {axis.label()}")
    if problem := why_not(sweep, side):
        return refused(problem=problem)
    if not measured.spaces:
        return refused(problem=f"{axis.label()}: no picture of it is measured yet.")
    cost = cells_of_value(sweep, side)
    if problem := _too_dear(sweep, budget, cost, f"{axis.label()}: one value more"):
        return refused(problem=problem)
    space = measured.spaces[0]
    known = gaps(measured.grid, space, axis.name, neighbours(axis))
    unknown = _unknown(axis.label(), [axis.value_label(i) for i in range(len(axis.values))], known)
    distances = {(g.start, g.end): g.distance for g in known if math.isfinite(g.distance)}
    room = min(budget, MAX_CELLS - sweep.size())
    refined = with_values(sweep, side, distances, room // cost, allowed=_is_sound)
    if not refined.added:
        return refused(problem=_nothing_between(axis.label(), distances), reasons=unknown)
    first = refined.added[0]
    return Refinement(
        name=axis.name,
        label=f"Values of {axis.label()}",
        sweep=refined.sweep,
        added=tuple(one.value for one in refined.added),
        cells=refined.sweep.size() - sweep.size(),
        reasons=(*_why_values(refined.added, space.label, known), *unknown),
        weight=first.distance,
    )


def _is_sound(sweep: Sweep) -> bool:
    """Whether a sweep of the new value alone has no problem that its values make."""
    try:
        factor = describe(sweep.base.model).vae_scale_factor
    except ModelError:
        factor = 8
    return not sweep.problems(vae_scale_factor=factor)


def _why_values(added: Iterable[Between], space: str, known: list[Gap]) -> list[str]:
    lacking = any(gap.pairs < gap.possible for gap in known)
    words = " (of the pairs that exist)" if lacking else ""
    found: list[str] = []
    for one in added:
        said = f"{one.value}: the pictures of {one.low} and {one.high} are "
        said += "taken to be" if one.is_assumed else "on average"
        said += f" {_number(one.distance)} apart"
        if one.is_assumed:
            found.append(f"{said}, half of the gap before, until they are measured.")
        else:
            found.append(f"{said} ({space}){words}, the largest gap of all that are left.")
    return found


def _unknown(label: str, names: list[str], known: list[Gap]) -> tuple[str, ...]:
    lacking = [f"{names[g.start]} → {names[g.end]}" for g in known if not g.pairs]
    if not lacking:
        return ()
    return (f"{label} {', '.join(lacking)}: no pair of pictures is there, so it is not judged.",)


def _nothing_between(label: str, distances: dict[tuple[int, int], float]) -> str:
    if not distances:
        return f"{label}: no two neighbours have a picture each."
    if not any(distances.values()):
        return f"{label}: its pictures are all the same."
    return f"{label}: where pictures differ, its values are as close as they can be."


def _seeds(sweep: Sweep, effects: Effects, budget: int) -> Refinement:
    refused = partial(Refinement, name=SEEDS, label="Seeds")
    side = block_side(sweep)
    cost = cells_of_value(sweep, side) if side else sweep.size()
    if with_more_seeds(sweep, 1) is None:
        return refused(problem="Seeds: columns, rows and pages all vary; take one away.")
    if problem := _too_dear(sweep, budget, cost, "Seeds: one more for the whole grid"):
        return refused(problem=problem)
    room = min(budget, MAX_CELLS - sweep.size()) // cost
    more = with_more_seeds(sweep, room)
    why = _why_seeds(effects, room)
    if more is None or not why:
        return refused(
            problem="Seeds: every difference is exactly the same with each seed; no interval is "
            "left to narrow."
        )
    old = side and sweep.axes()[side].values
    place = block_side(more)
    values = more.axes()[place].values if place else ()
    return Refinement(
        name=SEEDS,
        label="Seeds",
        sweep=more,
        added=tuple(str(one) for one in values[len(old) if old else 1 :]),
        cells=more.size() - sweep.size(),
        reasons=(why,),
    )


def _why_seeds(effects: Effects, more: int) -> str:
    """Which interval is the widest, and how wide it is to be with as many seeds more; "" where
    there is nothing to narrow.
    """
    if effects.is_once:
        return "One seed shows what happened once: with more there is an interval."
    measure = effects.measures[0].name if effects.measures else ""
    of_measure = [one for one in effects.differences if one.measure == measure]
    widest = max(of_measure, key=_width, default=None)
    if widest is None or widest.interval is None:
        return ""
    known, after = len(widest.blocks), len(widest.blocks) + more
    factor = effects.factor(widest.factor)
    step = f"{factor.label} {factor.levels[widest.start]} → {factor.levels[widest.end]}"
    shown = effects.measure(measure).show(_half_width(widest, after))
    return (
        f"The widest interval is that of {step}: {interval_words(effects, widest)}. With {after} "
        f"{effects.block_label}s instead of {known} it is expected to be its mean ± {shown}."
    )


def _width(one: Difference) -> float:
    return one.interval.high - one.interval.low if one.interval else -1.0


def _half_width(one: Difference, blocks: int) -> float:
    """Of the paired t interval with as many blocks of the same spread."""
    stats = _stats()
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, blocks - 1))
    return quantile * float(np.std(one.by_block, ddof=1)) / math.sqrt(blocks)


def _too_dear(sweep: Sweep, budget: int, cost: int, what: str) -> str:
    if budget < cost:
        return f"{what} is {cost} cell{'s' * (cost > 1)}: allow at least as many."
    if sweep.size() + cost > MAX_CELLS:
        return f"{what} would make more than {MAX_CELLS:,} cells."
    return ""


def _number(value: float) -> str:
    return f"{value:.3g}"


def _stats() -> Any:
    # A second to import, and only a conclusion needs it.
    from scipy import stats

    return stats
