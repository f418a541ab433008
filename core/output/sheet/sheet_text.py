"""The sweep inside a sheet's file: written into PNG, JPEG, WebP and PDF, read back from each."""

from __future__ import annotations

import io
import json
import re
import warnings
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from core.diffusion.settings import SettingsError
from core.output.texts.a1111.parameters import VERSION
from core.sweeps.axis import SweepError
from core.sweeps.sweep import Sweep

KEYWORD = "lightbox-sweep"
CHUNK_VERSION = 1
_PDF_SWEEP = re.compile(rb"(?:/LightboxSweep <|<lightbox:sweep>)((?:[0-9A-Fa-f]{2})*)[<>]")
"""In the XMP packet, or in the information dictionary of earlier versions."""
_MAX_EXIF = 60_000  # JPEG's Exif segment ends at 65 533 bytes
_ASCII = b"ASCII\x00\x00\x00"
_NOTHING = (
    "This picture contains no sweep: it is not an exported grid, or a website or an editor has "
    "removed its metadata."
)


class SheetError(ValueError):
    """A sheet that cannot be drawn or read; the message is for the person who asked for it."""


def sweep_text(sweep: Sweep) -> str:
    """What every format carries: the sweep as JSON, pure ASCII."""
    chunk = {"version": CHUNK_VERSION, "sweep": sweep.to_dict(), "software": VERSION}
    return json.dumps(chunk, allow_nan=False)


def embed_png(sweep: Sweep) -> PngImagePlugin.PngInfo:
    """A PNG's iTXt chunk, whatever the length."""
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt(KEYWORD, sweep_text(sweep))
    return texts


def fits_exif(sweep: Sweep) -> bool:
    """Return whether a JPEG or a WebP can hold it."""
    return len(_comment(sweep)) <= _MAX_EXIF


def embed_exif(sweep: Sweep) -> bytes:
    """Exif with the sweep as the user comment; without one where it is too long for JPEG."""
    exif = Image.Exif()
    if fits_exif(sweep):
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = _comment(sweep)
    return exif.tobytes()


def _comment(sweep: Sweep) -> bytes:
    return _ASCII + f"{KEYWORD}:{sweep_text(sweep)}".encode()


def read_sweep(data: bytes) -> Sweep:
    """The sweep of an exported grid. Raises SheetError, with what is wrong with the file."""
    text = _pdf_text(data) if data.startswith(b"%PDF-") else _picture_text(data)
    if text is None:
        raise SheetError(_NOTHING)
    try:
        chunk: Any = json.loads(text)
        version, values = chunk["version"], chunk["sweep"]
        if version != CHUNK_VERSION:
            raise SheetError("A newer Diffusion Lightbox wrote this picture: update to read it.")
        return Sweep.from_dict(values)
    except (SweepError, SettingsError) as error:
        raise SheetError(f"The sweep in this picture cannot be used: {error}") from error
    except SheetError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SheetError("The sweep in this picture is damaged.") from None


def _picture_text(data: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        with image:  # nothing is decoded: the texts stand before the pixels
            if isinstance(image, PngImagePlugin.PngImageFile):
                text = image.info.get(KEYWORD)
                return str(text) if text is not None else None
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Image.UnidentifiedImageError:
        raise SheetError("The file is not a PNG, JPEG, WebP or PDF file.") from None
    except Image.DecompressionBombError:
        raise SheetError("The picture is too large to be one of our grids.") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise SheetError("The picture is damaged: its file cannot be read.") from None
    if not isinstance(comment, bytes) or not comment.startswith(_ASCII):
        return None
    keyword, _, text = comment[len(_ASCII) :].decode("ascii", "replace").partition(":")
    return text.rstrip("\x00") if keyword == KEYWORD else None


def xmp_of(text: str) -> str:
    """A PDF's XMP packet (ISO 16684-1) that carries a text, in hexadecimal."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:lightbox="urn:diffusion-lightbox"><lightbox:sweep>'
        f"{text.encode().hex()}</lightbox:sweep></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _pdf_text(data: bytes) -> str | None:
    match = _PDF_SWEEP.search(data)
    return bytes.fromhex(match[1].decode()).decode("utf-8", "replace") if match else None
