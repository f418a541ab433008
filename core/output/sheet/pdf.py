"""A PDF of a sheet, by fpdf2: text as text, and every picture in its own pixels, without loss."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Callable
from itertools import groupby

from fpdf import FPDF
from PIL import Image

from core.output.sheet.canvas import fit_picture, scaled_size
from core.output.sheet.lettering import BOLD, FINER, FONT_FILES, REGULAR, Color, Face, is_ours, runs
from core.output.sheet.painter import Painter
from core.output.sheet.sheet_text import sweep_text, xmp_of
from core.sweeps.sweep import Sweep

POINTS_A_PIXEL = 0.5
"""144 pixels an inch, where no width is named."""

MAX_STORED = 100_000_000
"""Pixels of all stored pictures of a document, which is held in memory: of more, pictures that are
drawn smaller are written smaller too.
"""

POINTS_A_CM = 72 / 2.54
_FAMILY = "Source Sans 3"
_STYLES = {REGULAR: "", BOLD: "B"}
_UNDATED = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""Equal sheets are equal files."""

AddPages = Callable[[FPDF], None]

_NO_TEXT = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


def write_pdf(
    painter: Painter, sweep: Sweep, title: str, width_cm: float | None, more: AddPages | None = None
) -> bytes:
    """A document with a page for each of the sweep's, `width_cm` wide; the sweep is in its
    metadata. `more` adds pages after them.
    """
    document = FPDF(unit="pt")
    document.set_auto_page_break(False)
    document.set_margin(0)
    document.set_creation_date(_UNDATED)
    document.set_title(_NO_TEXT.sub(" ", title) or "Sweep")
    document.set_producer("Diffusion Lightbox")
    document.set_xmp_metadata(xmp_of(sweep_text(sweep)))
    for weight, style in _STYLES.items():
        document.add_font(_FAMILY, style, FONT_FILES[weight])
    area = painter.grid.cell[0] * painter.grid.cell[1] / painter.scale**2
    stored = area * len(painter.cells)
    points = width_cm * POINTS_A_CM / painter.width if width_cm else POINTS_A_PIXEL
    for z in range(sweep.shape()[2]):
        width, height = painter.page_size(z)
        document.add_page(format=(width * points, height * points))
        page = PdfPage(document, points, keeps_pixels=stored <= MAX_STORED)
        page.fill(width, height, painter.colors["paper"])
        painter.paint(page, z)
    if more is not None:
        more(document)
    return bytes(document.output())


class PdfPage:
    """A Canvas: places in pixels become points of the page that was added last."""

    def __init__(self, document: FPDF, points: float, *, keeps_pixels: bool) -> None:
        self._document, self._points, self._keeps = document, points, keeps_pixels

    def fill(self, width: int, height: int, color: Color) -> None:
        self._document.set_fill_color(*color)
        self._document.rect(0, 0, width * self._points, height * self._points, style="F")

    def text(self, face: Face, x: float, y: float, text: str, color: Color) -> None:
        """Write text in our font; letters that it lacks are pixels of a font of this computer, or
        its box.
        """
        document, points = self._document, self._points
        document.set_font(_FAMILY, _STYLES[face.weight], face.size * points)
        document.set_text_color(*color)
        for path, run in runs(text):
            for has_font, letters in groupby(run, is_ours):
                part = "".join(letters)
                if path is None and has_font:
                    document.text(x * points, (y + face.size) * points, part)
                else:
                    self._letters(face, x, y, part, color)
                x += face.width(part)

    def _letters(self, face: Face, x: float, y: float, text: str, color: Color) -> None:
        finer = Face(face.size * FINER, face.weight)
        rim = finer.size
        size = (round(finer.width(text)) + 2 * rim, finer.line_height + 2 * rim)
        letters = Image.new("RGB", size, (255, 255, 255))
        finer.draw(letters, rim, rim, text, color)
        # Transparent where nothing is written, on paper of any colour.
        ink = Image.new("RGB", size)
        finer.draw(ink, rim, rim, text, (255, 255, 255))
        letters.putalpha(ink.convert("L"))
        left, top = x - rim / FINER, y - rim / FINER
        self._place(letters, left, top, size[0] / FINER, size[1] / FINER)

    def picture(self, image: Image.Image, at: tuple[int, int], scale: float) -> None:
        size = scaled_size(image.size, scale)
        self._place(image if self._keeps else fit_picture(image, min(scale, 1)), *at, *size)

    def panel(self, box: tuple[int, int, int, int], fill: Color, line: Color) -> None:
        left, top, right, bottom = (side * self._points for side in box)
        self._document.set_fill_color(*fill)
        self._document.set_draw_color(*line)
        self._document.set_line_width(self._points)
        self._document.rect(left, top, right - left, bottom - top, style="DF")

    def _place(self, image: Image.Image, x: float, y: float, width: float, height: float) -> None:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)  # fpdf2 compresses the pixels itself
        points = self._points
        self._document.image(
            buffer, x * points, y * points, width * points, height * points, keep_aspect_ratio=False
        )
