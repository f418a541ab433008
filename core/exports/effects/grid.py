"""From a planned sweep and what was measured of its pictures to the grid that statistics see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.exports.effects.baselines import AGAINST
from core.exports.measuring import PIXELS_SIDE, Known, unet_rows
from core.output.effects.grid import EffectGrid, Factor, Measure, Observation, PictureSpace
from core.output.numbers.quantities import LEFT_OUT, QUANTITIES, Quantity
from core.sweeps.axis import Axis
from core.sweeps.plan import Plan
from core.sweeps.seeds import BLOCK_AXES, block_side
from core.sweeps.sweep import Sweep, SweepCell

OWN = "own:"
"""How the name of a measure begins whose numbers a person gave."""
ONE_BLOCK = "all"
MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredGrid:
    """The grid, and where its pictures lie; `notes` say what its seeds cannot tell apart."""

    grid: EffectGrid
    spaces: tuple[PictureSpace, ...]
    notes: tuple[str, ...]


def measured_grid(
    sweep: Sweep,
    plan: Plan,
    known: Known,
    *,
    reasons: Mapping[int, str],
    bases: Sequence[str],
    own: Mapping[str, Mapping[str, float]] | None = None,
) -> MeasuredGrid:
    """The grid of a plan's cells. `reasons` says by a cell's index why it has no picture, `bases`
    has the digest that each is compared with, and `own` is name -> digest -> a person's number.
    """
    side = block_side(sweep)
    factors = tuple(_factor(axis) for at, axis in sweep.axes().items() if at != side)
    axis = sweep.axes().get(side) if side else None
    rows = unet_rows(cell.settings for cell in plan.cells)
    observations: list[Observation] = []
    for index, (cell, digest) in enumerate(zip(plan.cells, plan.digests, strict=True)):
        if index in reasons:
            continue
        values: dict[str, float | None] = {
            **known.values.get(digest, {}),
            **known.of_pair(digest, bases[index]),
            **{f"{OWN}{name}": found.get(digest) for name, found in (own or {}).items()},
            "unet_rows": rows.get(cell.settings),
        }
        observations.append(
            Observation(
                levels=tuple(getattr(cell, at) for at in sweep.axes() if at != side),
                block=_block(axis, cell, side),
                values={
                    name: float(value)
                    for name, value in values.items()
                    if value is not None and math.isfinite(value)
                },
                digest=digest,
            )
        )
    measures, left_out = _measures(observations, list(own or {}), known)
    return MeasuredGrid(
        grid=EffectGrid(
            factors=factors,
            measures=tuple(measures),
            observations=tuple(observations),
            missing=tuple(missing_sentences(sweep, plan, reasons)),
            left_out=tuple(left_out),
            block_label=BLOCK_AXES[axis.name] if axis else "seed",
        ),
        spaces=_spaces(observations, known),
        notes=tuple(_confounded(sweep, plan)),
    )


def measure_label(name: str) -> str:
    """What a measure is called, of QUANTITIES or a person's own."""
    return name.removeprefix(OWN) if name.startswith(OWN) else QUANTITIES[name].label


def measure_note(name: str, against: str = "") -> str:
    """What a measure is; of two pictures with `against` which the other is."""
    if name.startswith(OWN):
        return "Your own number."
    row = QUANTITIES[name]
    note = row.note
    if row.needs in ("pair", "seen") and against:
        note = note.replace("the reference", AGAINST[against])
    return f"{note[0].upper()}{note[1:]}."


def _factor(axis: Axis) -> Factor:
    values = axis.values
    are_numbers = axis.linked is None and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    return Factor(
        name=axis.name,
        label=axis.label(),
        levels=tuple(axis.value_label(index) for index in range(len(values))),
        numbers=tuple(float(value) for value in values) if are_numbers else None,
    )


def _block(axis: Axis | None, cell: SweepCell, side: str | None) -> str:
    """The seed of a cell; where none varies by itself all cells are of one."""
    return str(axis.values[getattr(cell, side)]) if axis and side else ONE_BLOCK


def _measures(
    observations: Sequence[Observation], own: Sequence[str], known: Known
) -> tuple[list[Measure], list[str]]:
    """What was measured of any cell; and a sentence for each measure that was of none."""
    taken = {name for one in observations for name in one.values}
    measures: list[Measure] = []
    left_out: list[str] = []
    for row in QUANTITIES.values():
        if row.name in taken:
            unit = _unit(row)
            label = row.label.removesuffix(f" ({unit})") if unit else row.label
            measures.append(Measure(name=row.name, label=label, digits=row.digits, unit=unit))
        elif observations:
            left_out.append(f"{row.label} is left out: {_why(row, known)}.")
    for name in own:
        if f"{OWN}{name}" in taken:
            measures.append(Measure(name=f"{OWN}{name}", label=name))
    left_out += [f"{name} is left out: {reason}." for name, reason in LEFT_OUT.items()]
    return measures, left_out


def _unit(row: Quantity) -> str:
    """The unit that stands in brackets at the end of a label."""
    return row.label.rpartition(" (")[2].removesuffix(")") if row.label.endswith(")") else ""


def _why(row: Quantity, known: Known) -> str:
    if row.name == "clip_score" or row.needs == "seen":
        return "no CLIP is here for this model" if known.clip is None else "no picture has one"
    if row.needs == "steps":
        return "no steps were recorded"
    return "it can be measured of no picture here"


def missing_sentences(sweep: Sweep, plan: Plan, reasons: Mapping[int, str]) -> list[str]:
    """A sentence for each reason why cells have no picture, with the first of them by name."""
    by_reason: dict[str, list[SweepCell]] = {}
    for index, reason in sorted(reasons.items()):
        by_reason.setdefault(reason.rstrip("."), []).append(plan.cells[index])
    found: list[str] = []
    for reason, cells in by_reason.items():
        named = [_place(sweep, cell) for cell in cells[:MOST_NAMED]]
        if len(cells) > MOST_NAMED:
            named.append(f"and {len(cells) - MOST_NAMED} more")
        count = "1 cell is" if len(cells) == 1 else f"{len(cells)} cells are"
        found.append(f"{count} missing ({'; '.join(named)}): {reason}.")
    return found


def _place(sweep: Sweep, cell: SweepCell) -> str:
    at = {"x": cell.x, "y": cell.y, "z": cell.z}
    parts = [f"{axis.label()} {axis.value_label(at[side])}" for side, axis in sweep.axes().items()]
    return ", ".join(parts) or "the only cell"


def _confounded(sweep: Sweep, plan: Plan) -> list[str]:
    """Axes whose values have seeds of their own: nothing tells the two apart."""
    found: list[str] = []
    kept = block_side(sweep)
    for side, axis in sweep.axes().items():
        if side == kept:
            continue
        seeds: dict[int, set[int]] = {}
        for cell in plan.cells:
            seeds.setdefault(getattr(cell, side), set()).add(cell.settings.seed)
        if len(seeds) > 1 and len({frozenset(one) for one in seeds.values()}) > 1:
            found.append(
                f"Each value of {axis.label()} has seeds of its own: its effect and the seed's "
                "cannot be told apart. Use Seed as an axis instead."
            )
    return found


def _spaces(observations: Sequence[Observation], known: Known) -> tuple[PictureSpace, ...]:
    """Where the pictures lie: for CLIP, where there is one, and by their pixels."""
    labels = {
        "clip": (known.embeddings, "CLIP embedding"),
        "pixels": (known.pixels, f"pixels at {PIXELS_SIDE} × {PIXELS_SIDE}"),
    }
    spaces: list[PictureSpace] = []
    for name, (vectors, label) in labels.items():
        length = max((len(vector) for vector in vectors.values()), default=0)
        if not length or not observations:
            continue
        gap = np.full(length, np.nan, np.float32)
        stacked = np.stack([vectors.get(one.digest, gap) for one in observations])
        spaces.append(PictureSpace(name=name, label=label, embedding=stacked))
    return tuple(spaces)
