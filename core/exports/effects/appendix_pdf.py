"""The appendix on pages of a PDF: letters as letters, figures as vectors."""

from __future__ import annotations

from collections.abc import Sequence

from fpdf import FPDF

from core.exports.effects.appendix import COLUMNS, Appendix
from core.output.figures.vector.shapes import COLOURS, LETTERS, Dot, Figure, Path
from core.output.sheet.lettering import BOLD, REGULAR, Color, Face
from core.output.sheet.pdf import PdfPage

PAGE = (595.0, 842.0)
"""A4, in points."""
MARGIN = 48.0
_PAPER: Color = (255, 255, 255)
_SHARES = (0.24, 0.3, 0.13, 0.17, 0.08, 0.08)
"""What part of the width each of COLUMNS has."""


def add_appendix(document: FPDF, appendix: Appendix) -> None:
    """Add as many pages as it takes, after those of the grid."""
    writer = _Writer(document)
    writer.words("Effects", 20, BOLD, gap=4)
    if appendix.note:
        writer.words(appendix.note, 10, gap=4)
    for section in appendix.sections:
        needed = 60 + (section.figures[0].height if section.figures else 0)
        writer.keep(needed)
        writer.words(section.title, 14, BOLD, gap=4)
        for sentence in section.sentences:
            writer.words(sentence, 10, gap=2)
        for figure in section.figures:
            writer.figure(figure)
    if appendix.rows:
        writer.keep(80)
        writer.words("Differences", 14, BOLD, gap=4)
        writer.row(COLUMNS, BOLD)
        for row in appendix.rows:
            writer.row(row, REGULAR)
    writer.keep(80)
    writer.words("Methods", 14, BOLD, gap=4)
    writer.words(appendix.methods, 10, gap=0)


class _Writer:
    """Goes down the pages, and begins another where one is full."""

    def __init__(self, document: FPDF) -> None:
        self._document = document
        self._canvas = PdfPage(document, 1.0, keeps_pixels=True)
        self._begin()

    def _begin(self) -> None:
        self._document.add_page(format=PAGE)
        self._canvas.fill(round(PAGE[0]), round(PAGE[1]), _PAPER)
        self._top = MARGIN

    def keep(self, height: float) -> None:
        """Begin a page where this one has no room for so much."""
        if self._top + height > PAGE[1] - MARGIN and self._top > MARGIN:
            self._begin()

    def words(self, text: str, size: int, weight: int = REGULAR, *, gap: float) -> None:
        face = Face(size, weight)
        for line in face.wrap(text, PAGE[0] - 2 * MARGIN):
            self.keep(face.line_height)
            self._canvas.text(face, MARGIN, self._top, line, COLOURS["ink"])
            self._top += face.line_height
        self._top += gap

    def row(self, cells: Sequence[str], weight: int) -> None:
        """A row of the table; its cells go on below where they are too narrow."""
        face = Face(8, weight)
        whole = PAGE[0] - 2 * MARGIN
        wrapped = [
            face.wrap(text, share * whole - 6) if text else []
            for text, share in zip(cells, _SHARES, strict=True)
        ]
        height = max(1, *map(len, wrapped)) * face.line_height
        self.keep(height)
        left = MARGIN
        for lines, share in zip(wrapped, _SHARES, strict=True):
            for index, line in enumerate(lines):
                top = self._top + index * face.line_height
                self._canvas.text(face, left, top, line, COLOURS["ink"])
            left += share * whole
        self._top += height + 2

    def figure(self, figure: Figure) -> None:
        self.keep(figure.height + 8)
        left, top = MARGIN, self._top
        document = self._document
        face = Face(round(LETTERS))
        for shape in figure.shapes:
            colour = COLOURS[shape.colour]
            if isinstance(shape, Path):
                points = [(left + x, top + y) for x, y in shape.points]
                document.set_draw_color(*colour)
                document.set_fill_color(*colour)
                document.set_line_width(shape.width)
                document.polyline(points, style="F" if shape.fill else "D", polygon=shape.fill)
            elif isinstance(shape, Dot):
                x, y = shape.at
                document.set_draw_color(*colour)
                document.set_fill_color(*(colour if shape.fill else _PAPER))
                document.set_line_width(1.5)
                document.circle(left + x, top + y, shape.radius, style="DF")
            else:
                x, y = shape.at
                shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor]
                x -= shift * face.width(shape.text)
                at = (left + x, top + y - face.size)
                self._canvas.text(face, *at, shape.text, colour)
        self._top += figure.height + 8
