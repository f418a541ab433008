"""A PDF with one lossless picture a page (Pillow's own PDF writer would turn them into JPEG).

A PNG's compressed pixels are valid as they are inside a PDF: FlateDecode with PNG predictors
(ISO 32000-1, 7.4.4.4). Pages are taken one at a time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

from PIL import Image

from core.output.sheet.sheet_text import PDF_KEY, sweep_text
from core.sweeps.sweep import Sweep

POINTS_A_PIXEL = 0.5  # 144 pixels an inch


def write_pdf(pages: Iterable[Image.Image], sweep: Sweep, title: str) -> bytes:
    """A document of these pages; the sweep and the title stand in its information dictionary."""
    out = io.BytesIO()
    offsets: dict[int, int] = {}

    def put(number: int, *parts: bytes) -> None:
        offsets[number] = out.tell()
        out.write(b"%d 0 obj\n" % number)
        for part in parts:
            out.write(part)
        out.write(b"\nendobj\n")

    out.write(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    put(1, b"<< /Type /Catalog /Pages 2 0 R >>")
    kids: list[int] = []
    number = 4  # 2 is the list of pages, 3 the document's information
    for page in pages:
        width, height = page.width * POINTS_A_PIXEL, page.height * POINTS_A_PIXEL
        pixels = _idat(page)
        put(
            number,
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB "
            b"/BitsPerComponent 8 /Filter /FlateDecode /DecodeParms << /Predictor 15 /Colors 3 "
            b"/Columns %d >> /Length %d >>\nstream\n"
            % (page.width, page.height, page.width, len(pixels)),
            pixels,
            b"\nendstream",
        )
        drawing = b"q %g 0 0 %g 0 0 cm /Sheet Do Q" % (width, height)
        put(
            number + 1,
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        )
        put(
            number + 2,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Contents %d 0 R "
            b"/Resources << /XObject << /Sheet %d 0 R >> >> >>"
            % (width, height, number + 1, number),
        )
        kids.append(number + 2)
        number += 3
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    put(2, b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), listed))
    put(
        3,
        b"<< /Title %s /Producer (Diffusion Lightbox) " % _text(title),
        PDF_KEY + b" <%s> >>" % sweep_text(sweep).encode().hex().encode(),
    )
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % number)
    for index in range(1, number):
        out.write(b"%010d 00000 n \n" % offsets[index])
    out.write(b"trailer\n<< /Size %d /Root 1 0 R /Info 3 0 R >>\n" % number)
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def _text(text: str) -> bytes:
    """A PDF text string: UTF-16 with its byte order mark, as hexadecimal."""
    return b"<FEFF" + text.encode("utf-16-be", "replace").hex().encode() + b">"


def _idat(page: Image.Image) -> bytes:
    """The compressed pixels of the page as PNG: its IDAT chunks, joined."""
    buffer = io.BytesIO()
    page.convert("RGB").save(buffer, "PNG")
    png = buffer.getbuffer()
    found = io.BytesIO()
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if bytes(png[at + 4 : at + 8]) == b"IDAT":
            found.write(png[at + 8 : at + 8 + length])
        at += length + 12
    return found.getvalue()
