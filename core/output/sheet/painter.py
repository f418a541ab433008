"""Painter: draws a page of a labelled grid on a canvas, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from core.output.sheet.canvas import Canvas, Pixels, scaled_size
from core.output.sheet.layout import Background, Block, Grid, Ink, TextLine, notes, page_heading
from core.output.sheet.lettering import Color, Face
from core.sweeps.sweep import Sweep

MISSING = "Not computed"
COLORS: Mapping[Background, Mapping[Ink | Literal["paper", "panel", "line"], Color]] = {
    "white": {
        "paper": (255, 255, 255),
        "ink": (33, 30, 27),
        "muted": (107, 101, 92),
        "failed": (168, 46, 24),
        "panel": (244, 242, 238),
        "line": (206, 200, 190),
    },
    "black": {
        "paper": (0, 0, 0),
        "ink": (238, 233, 226),
        "muted": (167, 159, 148),
        "failed": (255, 150, 120),
        "panel": (24, 22, 20),
        "line": (70, 64, 57),
    },
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SheetCell:
    """One cell's picture, as an image or as a file; with neither, `reason` says why. `caption`
    stands below it.
    """

    x: int
    y: int
    z: int
    image: Image.Image | Path | None
    reason: str = ""
    caption: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Painter:
    """A sheet that is being drawn: what stands where, and its cells by their place."""

    sweep: Sweep
    grid: Grid
    head: Block
    scale: float
    colors: Mapping[Ink | Literal["paper", "panel", "line"], Color]
    cells: Mapping[tuple[int, int, int], SheetCell]

    @property
    def width(self) -> int:
        pages = [page_heading(self.sweep, self.grid, z) for z in range(self.sweep.shape()[2])]
        return block_width(self.grid, [self.head, *pages])

    def page(self, z: int) -> Image.Image:
        """One page by itself, with title and legend."""
        canvas = Image.new("RGB", self.page_size(z), self.colors["paper"])
        self.paint(Pixels(canvas), z)
        return canvas

    def page_size(self, z: int) -> tuple[int, int]:
        """Width and height of one page by itself, in pixels."""
        frame = 2 * self.grid.border + self.head.height
        return self.width, frame + self.page_height(z, self.notes(z))

    def paint(self, canvas: Canvas, z: int) -> None:
        """Draw one page by itself, with title and legend."""
        self.draw(canvas, self.head, self.grid.border)
        self.draw_page(canvas, z, self.grid.border + self.head.height, self.notes(z))

    def cell_boxes(self, z: int) -> dict[tuple[int, int], tuple[int, int]]:
        """(x, y) -> the upper left corner of the cell's box on `page(z)`."""
        top = self.grid.border + self.head.height
        top += page_heading(self.sweep, self.grid, z).height
        return {
            (x, y): (self.grid.border + left, top + row)
            for y, row in enumerate(self.grid.tops)
            for x, left in enumerate(self.grid.lefts)
        }

    def page_height(self, z: int, below: Block) -> int:
        return page_heading(self.sweep, self.grid, z).height + self.grid.height + below.height

    def draw_page(self, canvas: Canvas, z: int, top: int, below: Block) -> None:
        above = page_heading(self.sweep, self.grid, z)
        self.draw(canvas, above, top)
        top += above.height
        labels = (*self.grid.labels, *self.grid.captions.get(z, ()))
        self.draw(canvas, Block(labels, self.grid.height), top)
        numbers = self._footnotes(z)
        for y, row_top in enumerate(self.grid.tops):
            for x, left in enumerate(self.grid.lefts):
                box = (self.grid.border + left, top + row_top)
                picture, reason = self._picture(x, y, z)
                if picture is not None:
                    canvas.picture(picture, self._corner(picture, box), self.scale)
                else:
                    self._draw_reason(canvas, box, reason, numbers)
        self.draw(canvas, below, top + self.grid.height)

    def _corner(self, picture: Image.Image, box: tuple[int, int]) -> tuple[int, int]:
        """Where a stored picture stands, in the middle of its cell's box."""
        width, height = self.grid.cell
        drawn = scaled_size(picture.size, self.scale)
        return (box[0] + (width - drawn[0]) // 2, box[1] + (height - drawn[1]) // 2)

    def paste(self, canvas: Image.Image, picture: Image.Image, box: tuple[int, int]) -> None:
        """A picture of its final size into the middle of its cell's box."""
        width, height = self.grid.cell
        at = (box[0] + (width - picture.width) // 2, box[1] + (height - picture.height) // 2)
        canvas.paste(picture, at)

    def draw(self, canvas: Canvas, block: Block, top: float) -> None:
        for line in block.lines:
            at = (self.grid.border + line.x, top + line.y)
            canvas.text(line.face, *at, line.text, self.colors[line.ink])

    def notes(self, z: int) -> Block:
        """The reasons that find no room in their cells, numbered as there."""
        texts = [f"{number}  {reason}" for reason, number in self._footnotes(z).items()]
        return notes(texts, self.grid)

    def _footnotes(self, z: int) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for y in range(len(self.grid.tops)):
            for x in range(len(self.grid.lefts)):
                reason = self._reason(x, y, z)
                if reason and reason not in numbers and not self._fitting(reason):
                    numbers[reason] = len(numbers) + 1
        return numbers

    def _reason(self, x: int, y: int, z: int) -> str:
        """Why a cell has no picture, "" if it has one. A damaged file is found when drawn."""
        cell = self.cells.get((x, y, z))
        if cell is None:
            return MISSING
        return "" if cell.image is not None else cell.reason or MISSING

    def _picture(self, x: int, y: int, z: int) -> tuple[Image.Image | None, str]:
        cell = self.cells.get((x, y, z))
        if cell is None or cell.image is None:
            return None, self._reason(x, y, z)
        try:
            return open_picture(cell.image), ""
        except FileNotFoundError:
            return None, "Deleted: compute again"
        except (OSError, ValueError, SyntaxError):
            return None, "Damaged: compute again"

    def _fitting(self, reason: str) -> tuple[Face, list[str]] | None:
        """The largest lettering in which the reason fits its cell, not below two thirds."""
        width, height = self.grid.cell
        size = self.grid.face.size
        for smaller in (size, round(size * 0.85), round(size * 0.7)):
            face = Face(max(smaller, 8))
            if face.longest_word(reason) > width - size:
                continue
            lines = face.wrap(reason, width - size)
            if len(lines) * face.line_height <= height - size // 2:
                return face, lines
        return None

    def _draw_reason(
        self,
        canvas: Canvas,
        box: tuple[int, int],
        reason: str,
        footnotes: Mapping[str, int],
    ) -> None:
        width, height = self.grid.cell
        corners = (*box, box[0] + width - 1, box[1] + height - 1)
        canvas.panel(corners, self.colors["panel"], self.colors["line"])
        face, lines = self._fitting(reason) or (
            Face(max(min(self.grid.face.size, height - 4), 6)),
            [str(footnotes.get(reason, "×"))],
        )
        y = box[1] + (height - len(lines) * face.line_height) / 2
        for line in lines:
            x = box[0] + (width - face.width(line)) / 2
            canvas.text(face, x, y, line, self.colors["muted" if reason == MISSING else "failed"])
            y += face.line_height


def largest_cell(sweep: Sweep, cells: Sequence[SheetCell]) -> tuple[int, int]:
    """Width and height that hold every cell; only the files' headers are read."""
    widths, heights = [1], [1]
    for cell in cells:
        try:
            if isinstance(cell.image, Image.Image):
                width, height = cell.image.size
            elif cell.image is not None:
                with Image.open(cell.image) as image:
                    width, height = image.size
            else:
                continue
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        widths.append(width)
        heights.append(height)
    if len(widths) == 1:
        return sweep.base.width, sweep.base.height
    return max(widths), max(heights)


def open_picture(image: Image.Image | Path) -> Image.Image:
    """Open a picture in RGB, wholly read. Raises OSError and what else Pillow raises for a damaged
    file.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    with Image.open(image) as opened:
        return opened.convert("RGB")


def block_width(grid: Grid, blocks: Sequence[Block]) -> int:
    """Return the width of a canvas that holds the grid and these texts."""
    lines: list[TextLine] = [line for block in blocks for line in block.lines]
    widest = max((line.x + line.face.width(line.text) for line in lines), default=0.0)
    return 2 * grid.border + max(grid.width, round(widest + 0.5))
