"""The labelled grid as one picture, laid out from stored cells, with the sweep inside it.

Cells are opened one at a time. A sheet that would pass a format's side or MAX_PIXELS is drawn
with smaller cells; nothing is ever cut.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from core.output.sheet.canvas import Pixels
from core.output.sheet.layout import (
    Block,
    Captions,
    Grid,
    SheetOptions,
    heading,
    make_grid,
    notes,
    page_heading,
)
from core.output.sheet.lettering import missing_note
from core.output.sheet.painter import COLORS, MISSING, Painter, SheetCell, block_width, largest_cell
from core.output.sheet.pdf import AddPages, write_pdf
from core.output.sheet.sheet_text import SheetError, embed_exif, embed_png, fits_exif, read_sweep
from core.sweeps.sweep import Sweep

__all__ = [
    "SheetCell",
    "SheetError",
    "SheetFormat",
    "SheetOptions",
    "SheetSize",
    "captions_of",
    "carries_sweep",
    "draw_pages",
    "fit_sheet",
    "make_painter",
    "read_sweep",
    "sheet_size",
    "write_sheet",
]

SheetFormat = Literal["png", "jpeg", "webp", "pdf"]
Medium = Literal["png", "jpeg", "webp", "pdf", "film"]
LONGEST_SIDE: Mapping[Medium, int] = {
    "png": 65_500,
    "jpeg": 65_500,
    "webp": 16_383,
    "pdf": 14_000,
    "film": 4096,
}
"""JPEG's and WebP's own limits; PDF viewers take 14 400 units; a film's are those of hardware
decoders of H.264; PNG's is what programs open.
"""
MAX_PIXELS: Mapping[Medium, int] = {
    "png": 120_000_000,
    "jpeg": 120_000_000,
    "webp": 60_000_000,
    "pdf": 100_000_000,
    "film": 4096 * 2304,
}
"""Held in memory: 3 bytes a pixel for the canvas and up to 3 for the file, WebP 8 more."""
SMALLEST_CELL = 8


@dataclass(frozen=True, kw_only=True)
class SheetSize:
    """The size of a sheet in pixels; `scale` is what the cells are drawn at. `note` says if they
    had to be smaller than asked for, and which letters of a label no font has.
    """

    width: int
    height: int
    cell: tuple[int, int]
    scale: float
    note: str = ""


def sheet_size(
    sweep: Sweep, cell_width: int, cell_height: int, options: SheetOptions
) -> tuple[int, int]:
    """Width and height of the whole sheet, all pages in one picture, before any limit."""
    grid = make_grid(sweep, _drawn_at(cell_width, cell_height, options), options)
    width, frame, heights = _page_sizes(sweep, grid, options, ())
    return width, frame + _stacked(grid, heights)


def fit_sheet(
    sweep: Sweep,
    cell_width: int,
    cell_height: int,
    options: SheetOptions,
    medium: Medium = "png",
    reasons: Sequence[str] = (),
    captions: Captions | None = None,
) -> SheetSize:
    """The size within the medium's limits, found by shrinking the cells.

    `reasons`, of cells without a picture, may need room below the grid, and `captions` do below
    their cells. A PDF's size is that of its tallest page. Raises SheetError where even the smallest
    cells do not help.
    """
    wanted = _drawn_at(cell_width, cell_height, options)
    side, pixels = LONGEST_SIDE[medium], MAX_PIXELS[medium]
    shrink = 1.0
    while True:
        cell = (max(round(wanted[0] * shrink), 1), max(round(wanted[1] * shrink), 1))
        grid = make_grid(sweep, cell, options, captions)
        width, frame, heights = _page_sizes(sweep, grid, options, reasons)
        height, in_all = frame + _stacked(grid, heights), width * (frame + _stacked(grid, heights))
        if medium == "pdf":
            height, in_all = frame + max(heights), width * (frame * len(heights) + sum(heights))
        excess = max(width / side, height / side, (in_all / pixels) ** 0.5)
        if excess <= 1:
            break
        if max(cell) <= SMALLEST_CELL:
            raise SheetError(
                f"The sheet would have {width} x {height} pixels; a {medium.upper()} holds "
                f"{side} a side and {pixels // 10**6} million pixels in all. Use fewer values, "
                "shorter labels or another format."
            )
        shrink = max(min(shrink / excess, shrink * 0.97), SMALLEST_CELL / max(wanted))
    notes_of = [missing_note(_texts(sweep, grid, options, reasons))]
    if shrink < 1:
        notes_of.append(
            f"Cells are drawn {cell[0]} x {cell[1]} pixels instead of {wanted[0]} x {wanted[1]}, "
            f"so that the sheet fits a {medium.upper()}."
        )
    note = " ".join(filter(None, notes_of))
    return SheetSize(width=width, height=height, cell=cell, scale=cell[0] / cell_width, note=note)


def make_painter(
    sweep: Sweep,
    cells: Sequence[SheetCell],
    options: SheetOptions,
    medium: Medium = "png",
) -> Painter:
    """What draws the sheet, with cells as large as the medium allows. Raises SheetError."""
    width, height = largest_cell(sweep, cells)
    reasons = dict.fromkeys(cell.reason for cell in cells if cell.image is None and cell.reason)
    captions = captions_of(cells)
    size = fit_sheet(sweep, width, height, options, medium, [*reasons, MISSING], captions)
    grid = make_grid(sweep, size.cell, options, captions)
    return Painter(
        sweep=sweep,
        grid=grid,
        head=heading(sweep, grid, options),
        scale=size.scale,
        colors=COLORS[options.background],
        cells={(cell.x, cell.y, cell.z): cell for cell in cells},
    )


def captions_of(cells: Sequence[SheetCell]) -> Captions:
    """The captions of the cells that have one."""
    return {(cell.x, cell.y, cell.z): cell.caption for cell in cells if cell.caption}


def draw_pages(
    sweep: Sweep,
    cells: Sequence[SheetCell],
    options: SheetOptions,
    format: SheetFormat = "pdf",
) -> Iterator[Image.Image]:
    """One picture a page of the sweep, each with title and legend. Raises SheetError."""
    painter = make_painter(sweep, cells, options, format)
    for z in range(sweep.shape()[2]):
        yield painter.page(z)


def carries_sweep(sweep: Sweep, format: SheetFormat) -> bool:
    """Return whether a file of this format holds the sweep, so that `read_sweep` finds it again."""
    return format in ("png", "pdf") or fits_exif(sweep)


def write_sheet(
    sweep: Sweep,
    cells: Sequence[SheetCell],
    options: SheetOptions,
    format: SheetFormat,
    more: AddPages | None = None,
) -> bytes:
    """The sheet as a file, with the sweep inside it; `read_sweep` takes it out again.

    PNG, JPEG and WebP hold all pages below each other, PDF has a page for each. JPEG and WebP
    hold a sweep of up to 60 kB, and none where its JSON is longer. `more` adds pages to a PDF.
    Raises SheetError.
    """
    if format == "pdf":
        painter = make_painter(sweep, cells, options, "pdf")
        return write_pdf(painter, sweep, options.title, options.width_cm, more)
    canvas = _draw_whole(make_painter(sweep, cells, options, format))
    buffer = io.BytesIO()
    if format == "png":
        canvas.save(buffer, "PNG", pnginfo=embed_png(sweep))
    elif format == "jpeg":
        canvas.save(buffer, "JPEG", quality=95, subsampling=0, exif=embed_exif(sweep))
    else:
        canvas.save(buffer, "WEBP", quality=95, method=2, exif=embed_exif(sweep))
    return buffer.getvalue()


def _draw_whole(painter: Painter) -> Image.Image:
    pages = range(painter.sweep.shape()[2])
    below = [painter.notes(z) for z in pages]
    heights = [painter.page_height(z, below[z]) for z in pages]
    border = painter.grid.border
    height = 2 * border + painter.head.height + _stacked(painter.grid, heights)
    image = Image.new("RGB", (painter.width, height), painter.colors["paper"])
    canvas = Pixels(image)
    painter.draw(canvas, painter.head, border)
    top = border + painter.head.height
    for z in pages:
        painter.draw_page(canvas, z, top, below[z])
        top += heights[z] + _between_pages(painter.grid)
    return image


def _drawn_at(width: int, height: int, options: SheetOptions) -> tuple[int, int]:
    if options.cell_size is None:
        return width, height
    scale = options.cell_size / max(width, height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _page_sizes(
    sweep: Sweep, grid: Grid, options: SheetOptions, reasons: Sequence[str]
) -> tuple[int, int, list[int]]:
    """Width; height of title, legend and borders; height of each page with every reason below."""
    head = heading(sweep, grid, options)
    below = notes([f"000  {reason}" for reason in reasons], grid)
    pages: list[Block] = [page_heading(sweep, grid, z) for z in range(sweep.shape()[2])]
    heights = [page.height + grid.height + below.height for page in pages]
    return block_width(grid, [head, below, *pages]), 2 * grid.border + head.height, heights


def _texts(
    sweep: Sweep, grid: Grid, options: SheetOptions, reasons: Sequence[str]
) -> Iterator[str]:
    """All that is written on the sheet."""
    pages = (page_heading(sweep, grid, z) for z in range(sweep.shape()[2]))
    for block in (heading(sweep, grid, options), notes(reasons, grid), *pages):
        yield from (line.text for line in block.lines)
    yield from (line.text for line in grid.labels)
    yield from (line.text for lines in grid.captions.values() for line in lines)


def _stacked(grid: Grid, heights: Sequence[int]) -> int:
    return sum(heights) + _between_pages(grid) * (len(heights) - 1)


def _between_pages(grid: Grid) -> int:
    return 2 * grid.face.size
