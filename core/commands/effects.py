"""effects: what the axes of a stored sweep do, in words or as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from core.commands.console import (
    OK,
    UsageError,
    check_writable,
    folder,
    say,
    whole,
    write_file,
)
from core.commands.refining import refined
from core.commands.specs import find_sweep, plan_of
from core.exports.effects.baselines import AGAINST
from core.exports.effects.files import FILES, file_of
from core.exports.effects.found import find_effects, stored_grid
from core.exports.effects.grid import MeasuredGrid
from core.exports.sweep import NOT_COMPUTED
from core.output.effects.words import sentences
from core.runs.store.store import Store
from core.sweeps.sweep import MAX_CELLS

SUFFIXES = ", ".join(FILES)


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    effects = commands.add_parser("effects", help="what the axes of a sweep's stored cells do")
    effects.set_defaults(run=run)
    effects.add_argument("spec", help="a TOML file, or the name of a saved sweep")
    effects.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME",
        help="only this measure, by its name or label; can be repeated",
    )
    effects.add_argument(
        "--against",
        choices=list(AGAINST),
        default=next(iter(AGAINST)),
        help="what a measure of two pictures compares with: "
        + "; ".join(f"{name}: {words}" for name, words in AGAINST.items()),
    )
    effects.add_argument("--json", action="store_true", help="print JSON")
    effects.add_argument(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=f"write them to a file, one of {SUFFIXES}; can be repeated",
    )
    effects.add_argument(
        "--refine",
        type=whole,
        metavar="CELLS",
        help="say what up to so many cells more would add: values where the pictures of two "
        "neighbours differ most, or seeds where an interval is widest",
    )
    effects.add_argument(
        "--add",
        metavar="NAME",
        help="with --refine: only values of the axis of this name, or seeds",
    )
    effects.add_argument(
        "--save",
        metavar="NAME",
        help='with --refine: keep the extended sweep under a name, which "sweep NAME" computes',
    )
    effects.add_argument(
        "--data", type=folder, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    for target in options.out:
        if file_of(target.name) is None:
            raise UsageError(f"{target}: name it as one of {SUFFIXES}")
        check_writable(target)
    if options.refine is None and (options.add or options.save):
        raise UsageError("--add and --save go with --refine")
    if options.refine is not None and not 1 <= options.refine <= MAX_CELLS:
        raise UsageError(f"--refine {options.refine} is outside 1 to {MAX_CELLS}")
    store = Store(options.data)
    sweep = find_sweep(options.spec, store)
    plan = plan_of(sweep, store)
    stored = store.holds(plan.digests)
    reasons = {n: NOT_COMPUTED for n, digest in enumerate(plan.digests) if digest not in stored}
    if len(reasons) == len(plan.cells):
        raise UsageError(f'none of its cells is stored: run "sweep {options.spec}" first')
    measured = stored_grid(store, sweep, plan, reasons, against=options.against)
    if not measured.grid.factors:
        raise UsageError("nothing varies but the seed: give the sweep an axis beside it")
    found = find_effects(measured, _names(measured, options.measure))
    ways = refined(store, sweep, measured, found, options)
    for sentence in (*found.missing, *found.left_out):
        say(f"note: {sentence}")
    for target in options.out:
        if (row := file_of(target.name)) is not None:
            write_file(target, row.write(found))
            say(str(target))
    if options.json:
        more = {} if ways is None else {"refine": [way.to_dict() for way in ways]}
        content = found.to_dict() | more
        print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        for line in sentences(found):
            print(line)
        for way in ways or ():
            print("\n".join(way.lines()))
    return OK


def _names(measured: MeasuredGrid, asked: list[str]) -> list[str] | None:
    """The measures' names, of what was asked for; None for all. Raises UsageError."""
    if not asked:
        return None
    by_word = {
        word.lower(): measure.name
        for measure in measured.grid.measures
        for word in (measure.label, measure.name)
    }
    unknown = [name for name in asked if name.lower() not in by_word]
    if unknown:
        known = ", ".join(measure.name for measure in measured.grid.measures)
        raise UsageError(f"{', '.join(unknown)}: not measured here; measured are: {known}")
    return [by_word[name.lower()] for name in asked]
