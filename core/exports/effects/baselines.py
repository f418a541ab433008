"""AGAINST: which picture each cell of a grid is compared with."""

from __future__ import annotations

from collections.abc import Mapping

from core.output.numbers.cell_numbers import Place
from core.runs.store.measured.kept import Pair
from core.sweeps.plan import Plan
from core.sweeps.seeds import block_side
from core.sweeps.sweep import Sweep

AGAINST: Mapping[str, str] = {
    "baseline": "the first values with the same seed",
    "row": "the first of its row",
    "column": "the first of its column",
    "reference": "the reference cell",
}


def base_places(sweep: Sweep, against: str, reference: Place = (0, 0, 0)) -> dict[Place, Place]:
    """Place of each cell -> the place that it is compared with, by a name of AGAINST. A cell that
    would be compared with itself is: its distance is 0.
    """
    columns, rows, pages = sweep.shape()
    kept = block_side(sweep)
    found: dict[Place, Place] = {}
    for z in range(pages):
        for y in range(rows):
            for x in range(columns):
                at = {"x": x, "y": y, "z": z}
                base = {side: at[side] if side == kept else 0 for side in at}
                found[x, y, z] = {
                    "baseline": (base["x"], base["y"], base["z"]),
                    "row": (0, y, z),
                    "column": (x, 0, z),
                    "reference": reference,
                }[against]
    return found


def base_digests(sweep: Sweep, plan: Plan, against: str, reference: Place = (0, 0, 0)) -> list[str]:
    """The digest that each cell of the plan is compared with, in the plan's order."""
    digest_at = {
        (cell.x, cell.y, cell.z): digest
        for cell, digest in zip(plan.cells, plan.digests, strict=True)
    }
    bases = base_places(sweep, against, reference)
    return [digest_at[bases[cell.x, cell.y, cell.z]] for cell in plan.cells]


def pairs_of(plan: Plan, bases: list[str], done: set[str]) -> list[Pair]:
    """The pairs to measure, each once: both of the pictures are there."""
    found = dict.fromkeys(zip(plan.digests, bases, strict=True))
    return [(one, other) for one, other in found if one in done and other in done]
