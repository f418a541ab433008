"""export: a sweep whose cells are stored, written to files by their suffix."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.commands.console import OK, UsageError, check_writable, folder, number, say, write_file
from core.commands.specs import find_sweep, plan_of
from core.exports.formats import BY_SUFFIX, FORMATS, ExportFormat, Part
from core.exports.sweep import NOT_COMPUTED, SweepExport
from core.output.film.film import FilmError
from core.output.sheet.sheet import SheetError, SheetOptions
from core.runs.store.store import Store, StoreError

EFFECTS_HELP = "add what the axes do to .html and .pdf: sentences, figures, a table, methods"
SUFFIXES = ", ".join(BY_SUFFIX)


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    export = commands.add_parser("export", help="write a sweep's stored cells to files")
    export.set_defaults(run=run)
    export.add_argument("spec", help="a TOML file, or the name of a saved sweep")
    export.add_argument(
        "--out",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help=f"one of {SUFFIXES}; can be repeated",
    )
    export.add_argument("--title", default="", help="the title above the grid")
    export.add_argument(
        "--pdf-width",
        type=number,
        metavar="CM",
        help="a PDF's width in centimetres (by default by its pixels, 144 an inch)",
    )
    export.add_argument("--effects", action="store_true", help=EFFECTS_HELP)
    export.add_argument(
        "--data", type=folder, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    check_targets(options.out)
    try:
        look = SheetOptions(title=options.title, width_cm=options.pdf_width)
    except SheetError as error:
        raise UsageError(str(error)) from None
    store = Store(options.data)
    sweep = find_sweep(options.spec, store)
    plan = plan_of(sweep, store)
    stored = store.holds(plan.digests)
    reasons = {n: NOT_COMPUTED for n, digest in enumerate(plan.digests) if digest not in stored}
    if len(reasons) == len(plan.cells):
        raise UsageError(f'none of its cells is stored: run "sweep {options.spec}" first')
    if reasons:
        say(f"note: {len(reasons)} of {len(plan.cells)} cells are not computed and are left empty")
    exported = SweepExport(
        store=store,
        sweep=sweep,
        plan=plan,
        reasons=reasons,
        options=look,
        with_effects=options.effects,
    )
    write_exports(exported, options.out)
    return OK


def check_targets(targets: Sequence[Path]) -> None:
    """Find out before anything is computed what cannot be written. Raises UsageError."""
    for target in targets:
        if target.suffix.lower() not in BY_SUFFIX:
            raise UsageError(f"{target}: name it as one of {SUFFIXES}")
        check_writable(target)


def needs_steps(targets: Sequence[Path]) -> bool:
    """Return whether any of them is a film, which shows every step of every cell."""
    return any(BY_SUFFIX[target.suffix.lower()].is_film for target in targets)


def write_exports(exported: SweepExport, targets: Sequence[Path]) -> None:
    """Write every file and print its name. Raises UsageError for one that cannot be made."""
    for target in targets:
        try:
            for path, data in _files(exported, BY_SUFFIX[target.suffix.lower()], target):
                write_file(path, data)
                print(path)
        except (SheetError, FilmError, StoreError) as error:
            raise UsageError(f"{target}: {error}") from error
        except OSError as error:
            raise UsageError(f"{target}: {error.strerror or error}") from error


def _files(exported: SweepExport, row: ExportFormat, target: Path) -> Iterator[tuple[Path, bytes]]:
    """The files that a target becomes: of a film one a page, grid-1.mp4 and grid-2.mp4."""
    if note := row.note(exported):
        say(f"note: {target}: {note}")
    if row.sheet is not None and not row.holds(exported.sweep):
        able = [other for other in FORMATS.values() if other.holds(exported.sweep)]
        suffixes = " and ".join(other.suffixes[0] for other in able)
        say(f"note: {target} does not hold the sweep, which is too long: {suffixes} do")
    ending = row.ending(exported)
    if ending == row.beside:
        beside = target.with_name(f"{target.stem}{ending.suffix}")
        say(f"note: {target} would be too large: the page and its pictures are in {beside}")
        target = beside
    pages = exported.sweep.shape()[2] if row.is_film else 1
    for z in range(pages):
        name = f"{target.stem}-{z + 1}{target.suffix}" if pages > 1 else target.name
        yield target.with_name(name), row.write(exported, Part(z=z))
