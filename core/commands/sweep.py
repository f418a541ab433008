"""sweep: a grid from a spec file, computed as far as it is missing, and exported."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.commands.console import FAILED, OK, UsageError, folder, say
from core.commands.export import EFFECTS_HELP, SUFFIXES, check_targets, needs_steps, write_exports
from core.commands.jobs import compute
from core.commands.specs import default_sweep, find_sweep, plan_of, with_table
from core.exports.sweep import SweepExport, planned_sheet
from core.output.sheet.sheet import SheetError, SheetOptions
from core.runs.store.store import Store
from core.sweeps.drawn import said_of
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    sweep = commands.add_parser("sweep", help="compute the grid of a spec file; see examples/")
    sweep.set_defaults(run=run)
    sweep.add_argument("spec", nargs="?", help="a TOML file, or the name of a saved sweep")
    sweep.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="a CSV file of settings, a row for each picture: the columns of the grid; the spec "
        "then gives the base settings, or the model's own defaults are taken",
    )
    sweep.add_argument(
        "--export",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=f"write the grid to a file, one of {SUFFIXES}; can be repeated",
    )
    sweep.add_argument(
        "--plan", action="store_true", help="print what it would cost, and compute nothing"
    )
    sweep.add_argument("--save", metavar="NAME", help="keep the sweep under a name, for the app")
    sweep.add_argument(
        "--strict", action="store_true", help="one at a time, pixel for pixel as diffusers does it"
    )
    sweep.add_argument("--effects", action="store_true", help=EFFECTS_HELP)
    sweep.add_argument(
        "--data", type=folder, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    check_targets(options.export)
    if options.spec is None and options.table is None:
        raise UsageError("what to compute is missing: give a spec file, a saved sweep or --table")
    store = Store(options.data)
    sweep = find_sweep(options.spec, store) if options.spec is not None else default_sweep()
    if options.table is not None:
        sweep = with_table(sweep, options.table)
    plan = plan_of(sweep, store, runs=True)
    _say_plan(sweep, plan)
    if options.save:
        store.save_sweep(options.save, sweep)
    if options.plan:
        return OK
    cells = compute(
        store,
        plan.submission(),
        strict=options.strict,
        record="latents" if needs_steps(options.export) else "norms",
        label=f"sweep {Path(str(options.spec or options.table)).stem}",
    )
    ended = {cell.digest: cell for cell in cells}
    reasons: dict[int, str] = {}
    for index, digest in enumerate(plan.digests):
        cell = ended[digest]
        if cell.state != "done":
            reasons[index] = cell.reason or cell.state
            say(f"error: cell {index + 1}: {reasons[index]}")
    if options.strict:
        _say_what_was_batched(store, plan)
    exported = SweepExport(
        store=store,
        sweep=sweep,
        plan=plan,
        reasons=reasons,
        options=SheetOptions(),
        with_effects=options.effects,
    )
    write_exports(exported, options.export)
    return FAILED if reasons else OK


def _say_what_was_batched(store: Store, plan: Plan) -> None:
    images = [store.get(digest) for digest in dict.fromkeys(plan.digests)]
    batched = sum(1 for image in images if image and not image.computed.get("strict"))
    if batched:
        say(
            f"note: {batched} cells were stored before, computed in a batch: they may differ from "
            "diffusers in the last bits"
        )


def _say_plan(sweep: Sweep, plan: Plan) -> None:
    columns, rows, pages = sweep.shape()
    grid = f"{columns} x {rows}" + (f" x {pages}" if pages > 1 else "")
    merged = f", {len(plan.merged)} the same as another" if plan.merged else ""
    takes = "" if not plan.to_compute else ", the time is not known before a first run"
    if plan.to_compute and plan.estimate is not None:
        minutes, seconds = divmod(max(1, round(plan.estimate.seconds)), 60)
        takes = (
            f", {plan.estimate.about} {minutes} min {seconds} s"
            if minutes
            else f", {plan.estimate.about} {seconds} s"
        )
    try:
        size = planned_sheet(sweep, plan)
        picture = f"a picture of {size.width} x {size.height} pixels"
    except SheetError:
        picture = "too large for one picture"
    say(
        f"{grid} cells{merged}: {plan.stored} stored, {plan.to_compute} to compute "
        f"({plan.unet_rows} UNet rows){takes}; {picture}"
    )
    if words := said_of(plan.cells):
        say(f"drawn: {words}")
    for text in (*plan.cut, *plan.foreign, *plan.missed):
        say(f"warning: {text}")
