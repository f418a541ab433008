"""FORMATS: every row over all that reads it."""

from __future__ import annotations

import argparse
import mimetypes
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pypdfium2
import pytest

from core.commands import export as export_command
from core.commands import sweep as sweep_command
from core.commands.export import check_targets, needs_steps
from core.commands.specs import plan_of
from core.exports.formats import BY_SUFFIX, FORMATS, ExportFormat, Kind, Part, film_files, of_kind
from core.exports.sweep import SweepExport, planned_sheet
from core.output.film.film import FilmError, FilmFormat
from core.output.sheet.sheet import (
    LONGEST_SIDE,
    MAX_PIXELS,
    SheetFormat,
    SheetOptions,
    read_sweep,
)
from core.runs.store.store import Store
from core.sweeps.drawn import said
from core.sweeps.sweep import Axis, Sweep
from tests.core.output.sweep_doubles import BASE, grid_sweep

ROWS = pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))


@pytest.fixture
def nothing_stored(tmp_path: Path) -> SweepExport:
    return of(grid_sweep(2, 1), tmp_path)


def of(sweep: Sweep, folder: Path, title: str = "") -> SweepExport:
    store = Store(folder / "data")
    planned = plan_of(sweep, store)
    return SweepExport(
        store=store, sweep=sweep, plan=planned, reasons={}, options=SheetOptions(title=title)
    )


def test_names_labels_and_suffixes_are_each_of_one_row() -> None:
    assert list(FORMATS) == [row.name for row in FORMATS.values()]
    labels = [row.label for row in FORMATS.values()]
    suffixes = [suffix for row in FORMATS.values() for suffix in row.suffixes]
    assert len(set(labels)) == len(labels)
    assert len(set(suffixes)) == len(suffixes) == len(BY_SUFFIX)
    assert sum(len(of_kind(kind)) for kind in get_args(Kind)) == len(FORMATS)


def test_what_can_be_drawn_is_what_is_offered() -> None:
    assert {row.sheet for row in of_kind("sheet")} == set(get_args(SheetFormat))
    assert {row.name for row in of_kind("film")} < set(get_args(FilmFormat))
    for row in FORMATS.values():
        medium = row.sheet or "film"
        assert LONGEST_SIDE[medium] > 0 < MAX_PIXELS[medium], row.name


@ROWS
def test_a_browser_is_told_what_the_suffix_says(row: ExportFormat) -> None:
    for suffix in row.suffixes:
        assert mimetypes.guess_type(f"grid{suffix}")[0] == row.mime
    if row.beside is not None:
        assert mimetypes.guess_type(f"grid{row.beside.suffix}")[0] == row.beside.mime


@ROWS
@pytest.mark.parametrize("command", [export_command, sweep_command])
def test_the_command_line_takes_it_and_says_so(
    row: ExportFormat, command: object, tmp_path: Path
) -> None:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())  # type: ignore[attr-defined]
    (action,) = (choices for choices in parser._actions if choices.choices)
    (said,) = (chosen.format_help() for chosen in action.choices.values())  # type: ignore[union-attr]
    for suffix in row.suffixes:
        assert suffix in said, suffix
        check_targets([tmp_path / f"grid{suffix}", tmp_path / f"GRID{suffix.upper()}"])
    assert needs_steps([tmp_path / f"grid{row.suffixes[0]}"]) == (row.kind == "film")


@ROWS
def test_every_row_writes(row: ExportFormat, nothing_stored: SweepExport) -> None:
    """A sweep of which nothing is computed: its cells stand empty, and a film has no frames."""
    if row.is_film:
        with pytest.raises(FilmError, match="recorded its steps"):
            row.write(nothing_stored, Part())
        return
    data = row.write(nothing_stored, Part())
    begins = {
        "png": b"\x89PNG",
        "jpeg": b"\xff\xd8\xff",
        "webp": b"RIFF",
        "pdf": b"%PDF-",
        "html": b"<!doctype html>",
        "csv": b"\xef\xbb\xbfx,y,z,",
        "zip": b"PK",
    }
    assert data.lower().startswith(begins[row.name].lower())
    assert row.holds(nothing_stored.sweep) == (row.kind == "sheet")
    if row.holds(nothing_stored.sweep):
        assert read_sweep(data) == nothing_stored.sweep


@ROWS
def test_letters_that_no_font_has_are_named_where_they_are_drawn(
    row: ExportFormat, nothing_stored: SweepExport, tmp_path: Path
) -> None:
    assert row.note(nothing_stored) == ""
    for strange in (
        of(grid_sweep(2, 1), tmp_path, title="\U00012000"),
        of(Sweep(base=BASE, x=Axis(name="prompt", values=("an owl", "𒀀"))), tmp_path),
    ):
        assert ("cuneiform sign a" in row.note(strange)) == (row.kind != "file")


def test_a_page_too_large_for_one_file_is_a_zip(
    nothing_stored: SweepExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = FORMATS["html"]
    assert row.ending(nothing_stored).suffix == ".html"
    monkeypatch.setattr("core.exports.sweep.INLINE_LIMIT", -1)
    assert row.ending(nothing_stored) == row.beside
    assert row.write(nothing_stored, Part()).startswith(b"PK")
    assert FORMATS["csv"].ending(nothing_stored).suffix == ".csv"


def test_every_film_has_one_label_and_one_type_wherever_it_is_offered() -> None:
    files = film_files()
    assert [name for name, _ in files.values()] == list(get_args(FilmFormat))
    for name, mime in files.values():
        assert mimetypes.guess_type(f"film.{name}", strict=False)[0] == mime
    for row in of_kind("film"):
        assert files[row.label] == (row.name, row.mime)


def test_drawn_words_stand_below_the_cells_of_a_sheet_and_in_the_planned_size(
    tmp_path: Path,
) -> None:
    base = replace(BASE, prompt="a {owl|fox} in {snow|rain}")
    export = of(Sweep(base=base, x=Axis(name="seed", values=(1, 2, 3))), tmp_path)
    plain = of(Sweep(base=BASE, x=Axis(name="seed", values=(1, 2, 3))), tmp_path)
    words = [said(cell.drawn) for cell in export.plan.cells]
    assert [cell.drawn for cell in export.cells()] == words
    text = pypdfium2.PdfDocument(export.sheet("pdf"))[0].get_textpage().get_text_bounded()
    assert all(one in text for one in words), (words, text)
    for size in (SweepExport.size, lambda one, _: planned_sheet(one.sweep, one.plan)):
        assert size(export, "png").height > size(plain, "png").height
