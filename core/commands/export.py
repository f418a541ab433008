"""export: a sweep whose cells are stored, written to files by their suffix."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.commands.console import OK, UsageError, check_writable, say, write_file
from core.commands.specs import find_sweep, plan_of
from core.exports.sweep import NOT_COMPUTED, Takeaway
from core.output.film.film import FilmError, FilmFormat
from core.output.sheet.sheet import SheetError, SheetFormat, SheetOptions, carries_sweep
from core.runs.store.store import Store, StoreError

Files = Iterable[tuple[Path, bytes]]


def _sheet(format: SheetFormat) -> Callable[[Takeaway, Path], Files]:
    """The labelled grid, with the sweep inside where it fits."""

    def write(taken: Takeaway, target: Path) -> Files:
        if not carries_sweep(taken.sweep, format):
            say(f"note: {target} does not hold the sweep, which is too long: .png and .pdf do")
        return [(target, taken.sheet(format))]

    return write


def _film(format: FilmFormat) -> Callable[[Takeaway, Path], Files]:
    """A film a page: grid.mp4, or grid-1.mp4 and grid-2.mp4."""

    def write(taken: Takeaway, target: Path) -> Files:
        pages = taken.sweep.shape()[2]
        for z in range(pages):
            name = f"{target.stem}-{z + 1}{target.suffix}" if pages > 1 else target.name
            yield target.with_name(name), taken.film(format, z=z)

    return write


def _page(taken: Takeaway, target: Path) -> Files:
    """One HTML file, or a ZIP of it with the pictures beside where that would be too large. Its
    name leaves grid.zip to the cells.
    """
    data, suffix = taken.page()
    if suffix == ".html":
        return [(target, data)]
    beside = target.with_name(f"{target.stem}-page{suffix}")
    say(f"note: {target} would be too large: the page and its pictures are in {beside}")
    return [(beside, data)]


WRITERS: Mapping[str, Callable[[Takeaway, Path], Files]] = {
    ".png": _sheet("png"),
    ".jpg": _sheet("jpeg"),
    ".jpeg": _sheet("jpeg"),
    ".webp": _sheet("webp"),
    ".pdf": _sheet("pdf"),
    ".html": _page,
    ".csv": lambda taken, target: [(target, taken.csv())],
    ".zip": lambda taken, target: [(target, taken.zip())],
    ".mp4": _film("mp4"),
    ".gif": _film("gif"),
}
FILMS = (".mp4", ".gif")


def add_to(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    export = commands.add_parser("export", help="write a sweep's stored cells to files")
    export.set_defaults(run=run)
    export.add_argument("spec", help="a TOML file, or the name of a saved sweep")
    export.add_argument(
        "--out",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help=f"one of {', '.join(WRITERS)}; may be given again",
    )
    export.add_argument("--title", default="", help="stands above the grid")
    export.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    check_targets(options.out)
    store = Store(options.data)
    sweep = find_sweep(options.spec, store)
    plan = plan_of(sweep, store)
    stored = store.holds(plan.digests)
    reasons = {n: NOT_COMPUTED for n, digest in enumerate(plan.digests) if digest not in stored}
    if len(reasons) == len(plan.cells):
        raise UsageError(f'nothing of it is stored: run "sweep {options.spec}" first')
    if reasons:
        say(f"note: {len(reasons)} of {len(plan.cells)} cells are not computed and stand empty")
    title = SheetOptions(title=options.title)
    write_exports(
        Takeaway(store=store, sweep=sweep, plan=plan, reasons=reasons, options=title), options.out
    )
    return OK


def check_targets(targets: Sequence[Path]) -> None:
    """Found out before anything is computed. Raises UsageError."""
    for target in targets:
        if target.suffix.lower() not in WRITERS:
            raise UsageError(f"{target}: name it as one of {', '.join(WRITERS)}")
        check_writable(target)


def write_exports(taken: Takeaway, targets: Sequence[Path]) -> None:
    """Writes every file and prints its name. Raises UsageError for one that cannot be made."""
    for target in targets:
        try:
            for path, data in WRITERS[target.suffix.lower()](taken, target):
                write_file(path, data)
                print(path)
        except (SheetError, FilmError, StoreError) as error:
            raise UsageError(f"{target}: {error}") from error
        except OSError as error:
            raise UsageError(f"{target}: {error.strerror or error}") from error
