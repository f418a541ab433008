"""FORMATS: every kind of file that a sweep is exported as. A new one is a row here.

The command line, the Export view and what they say to a person are read from these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from core.exports.sweep import SweepExport
from core.output.film.film import FilmFormat
from core.output.sheet.sheet import SheetFormat, carries_sweep
from core.sweeps.sweep import Sweep

Kind = Literal["sheet", "film", "file"]
"""The labelled grid as a picture; a page of it denoising, which needs recorded steps; or its
cells and their numbers.
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of a sweep a film shows: page `z`, and one frame a step or all cells together."""

    z: int = 0
    by_step: bool = False


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a file's name ends, and what a browser is told that it is."""

    suffix: str
    mime: str


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A file format. `suffixes` are what the command line takes, the first is what we write.

    `write` makes the bytes; it raises SheetError, FilmError, StoreError or OSError. Where the
    pictures are too large for one file, a format with `beside` becomes that instead.
    """

    name: str
    label: str
    kind: Kind
    suffixes: tuple[str, ...]
    mime: str
    help: str
    write: Callable[[SweepExport, Part], bytes]
    sheet: SheetFormat | None = None
    beside: Ending | None = None

    @property
    def is_film(self) -> bool:
        return self.kind == "film"

    def ending(self, sweep: SweepExport) -> Ending:
        """What the file for this sweep is: `beside` where its pictures are too large."""
        if self.beside is not None and sweep.is_large:
            return self.beside
        return Ending(suffix=self.suffixes[0], mime=self.mime)

    def note(self, sweep: SweepExport) -> str:
        """What a person should know of what is drawn: smaller cells, letters that no font has; ""
        else. Raises SheetError where it cannot be drawn.
        """
        return "" if self.kind == "file" else sweep.size(self.sheet or "film").note

    def holds(self, sweep: Sweep) -> bool:
        """Return whether the file restores this sweep when it is read again."""
        return self.sheet is not None and carries_sweep(sweep, self.sheet)


def _sheet(sweep: SweepExport, part: Part, *, format: SheetFormat) -> bytes:
    return sweep.sheet(format)


def _film(sweep: SweepExport, part: Part, *, format: FilmFormat) -> bytes:
    return sweep.film(format, z=part.z, by_step=part.by_step)


def _sheet_row(name: SheetFormat, label: str, mime: str, *suffixes: str) -> ExportFormat:
    return ExportFormat(
        name=name,
        label=label,
        kind="sheet",
        suffixes=suffixes,
        mime=mime,
        help="The labelled grid.",
        write=partial(_sheet, format=name),
        sheet=name,
    )


def _film_row(name: FilmFormat, label: str, mime: str, *suffixes: str) -> ExportFormat:
    return ExportFormat(
        name=name,
        label=label,
        kind="film",
        suffixes=suffixes,
        mime=mime,
        help="The whole grid denoising together.",
        write=partial(_film, format=name),
    )


FORMATS: Mapping[str, ExportFormat] = {
    row.name: row
    for row in (
        _sheet_row("png", "PNG", "image/png", ".png"),
        _sheet_row("jpeg", "JPEG", "image/jpeg", ".jpg", ".jpeg"),
        _sheet_row("webp", "WebP", "image/webp", ".webp"),
        _sheet_row("pdf", "PDF", "application/pdf", ".pdf"),
        _film_row("mp4", "MP4", "video/mp4", ".mp4"),
        _film_row("gif", "GIF", "image/gif", ".gif"),
        ExportFormat(
            name="html",
            label="Web page",
            kind="file",
            suffixes=(".html",),
            mime="text/html",
            help="Works offline: sliders, keyboard, numbers.",
            write=lambda sweep, part: sweep.page(),
            beside=Ending(suffix="-page.zip", mime="application/zip"),  # .zip is the cells'
        ),
        ExportFormat(
            name="csv",
            label="CSV",
            kind="file",
            suffixes=(".csv",),
            mime="text/csv",
            help="One row per cell: axes, numbers and all settings.",
            write=lambda sweep, part: sweep.csv(),
        ),
        ExportFormat(
            name="zip",
            label="Cells (ZIP)",
            kind="file",
            suffixes=(".zip",),
            mime="application/zip",
            help="The stored PNG files as they are.",
            write=lambda sweep, part: sweep.zip(),
        ),
    )
}
BY_SUFFIX: Mapping[str, ExportFormat] = {
    suffix: row for row in FORMATS.values() for suffix in row.suffixes
}


def of_kind(kind: Kind) -> tuple[ExportFormat, ...]:
    """The rows of one kind, in the order in which they are offered."""
    return tuple(row for row in FORMATS.values() if row.kind == kind)


def film_files() -> Mapping[str, tuple[FilmFormat, str]]:
    """Label -> format and MIME type of every file that moving frames are written as: an animated
    WebP has the label and the type of a still one.
    """
    formats: tuple[FilmFormat, ...] = get_args(FilmFormat)
    return {FORMATS[name].label: (name, FORMATS[name].mime) for name in formats}
