"""Pictures that carry a text in one of the places where tools put theirs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping

from PIL import ExifTags, Image, PngImagePlugin

SIZE = (16, 16)
EXIF_IFD = 0x8769


def png(*before: tuple[bytes, bytes], after: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG with raw chunks (kind, body) before and behind its pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "teal").save(buffer, "PNG")
    body = buffer.getvalue()
    head, tail = body.index(b"IDAT") - 4, body.rindex(b"IEND") - 4
    return body[:head] + _chunks(before) + body[head:tail] + _chunks(after) + body[tail:]


def text_chunk(key: str, text: bytes) -> tuple[bytes, bytes]:
    return b"tEXt", key.encode("latin-1") + b"\x00" + text


def packed_chunk(key: str, text: bytes) -> tuple[bytes, bytes]:
    return b"zTXt", key.encode("latin-1") + b"\x00\x00" + zlib.compress(text)


def international_chunk(key: str, text: bytes, packed: bool = False) -> tuple[bytes, bytes]:
    body = zlib.compress(text) if packed else text
    return b"iTXt", key.encode() + (
        b"\x00\x01\x00" if packed else b"\x00\x00\x00"
    ) + b"\x00\x00" + (body)


def with_exif(kind: str, entries: Mapping[int, bytes | str], inner: bool = False) -> bytes:
    """A JPEG or WebP whose IFD0, or Exif IFD, has these entries."""
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "teal").save(buffer, kind, exif=exif_of(entries, inner))
    return buffer.getvalue()


def exif_of(entries: Mapping[int, bytes | str], inner: bool = False) -> bytes:
    exif = Image.Exif()
    place = exif.get_ifd(EXIF_IFD) if inner else exif
    for tag, value in entries.items():
        place[tag] = value
    return exif.tobytes()


def xmp(description: str) -> bytes:
    escaped = description.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "&#xA;")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:UserComment><rdf:Alt><rdf:li>'
        f"{escaped}</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def _chunks(chunks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    buffer = io.BytesIO()
    for kind, body in chunks:
        PngImagePlugin.putchunk(buffer, kind, body)
    return buffer.getvalue()


def _comment(kind: str, head: bytes, encoding: str, inner: bool = True) -> Callable[[str], bytes]:
    tag = ExifTags.Base.UserComment
    return lambda text: with_exif(kind, {tag: head + text.encode(encoding)}, inner)


def _jpeg_comment(text: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "teal").save(buffer, "JPEG", comment=text.encode())
    return buffer.getvalue()


def _exif_chunk(text: str) -> bytes:
    comment = b"UNICODE\x00" + text.encode("utf-16-be")
    exif = exif_of({ExifTags.Base.UserComment: comment}, inner=True)
    return png((b"eXIf", exif.removeprefix(b"Exif\x00\x00")))


CONTAINERS: Mapping[str, Callable[[str], bytes]] = {
    "tEXt, UTF-8": lambda text: png(text_chunk("parameters", text.encode())),
    "tEXt, byte order mark": lambda text: png(
        text_chunk("parameters", b"\xef\xbb\xbf" + text.encode())
    ),
    "tEXt behind the pixels": lambda text: png(
        text_chunk("Software", b"an editor"), after=(text_chunk("parameters", text.encode()),)
    ),
    "zTXt": lambda text: png(packed_chunk("parameters", text.encode())),
    "iTXt": lambda text: png(international_chunk("parameters", text.encode())),
    "iTXt, packed": lambda text: png(international_chunk("parameters", text.encode(), True)),
    "eXIf": _exif_chunk,
    "PNG's XMP": lambda text: png(international_chunk("XML:com.adobe.xmp", xmp(text))),
    "UNICODE, big-endian": _comment("JPEG", b"UNICODE\x00", "utf-16-be"),
    "UNICODE, little-endian": _comment("JPEG", b"UNICODE\x00", "utf-16-le"),
    "UNICODE, mark, big-endian": _comment("WEBP", b"UNICODE\x00\xfe\xff", "utf-16-be"),
    "UNICODE, mark, little-endian": _comment("WEBP", b"UNICODE\x00\xff\xfe", "utf-16-le"),
    "UNICODE that is UTF-8": _comment("JPEG", b"UNICODE\x00", "utf-8"),
    "Unicode, mixed case": _comment("JPEG", b"Unicode\x00", "utf-16-le"),
    "ASCII that is UTF-8": _comment("JPEG", b"ASCII\x00\x00\x00", "utf-8"),
    "eight NULs": _comment("JPEG", bytes(8), "utf-8"),
    "no charset": _comment("WEBP", b"", "utf-8"),
    "IFD0's UserComment": _comment("JPEG", b"UNICODE\x00", "utf-16-be", inner=False),
    "ImageDescription": lambda text: with_exif("JPEG", {270: text.encode()}),
    "a JPEG's comment": _jpeg_comment,
}
"""Name -> a picture with the text in that place, in that encoding."""


def truncated_exif() -> bytes:
    """A JPEG whose Exif entries point past their end."""
    data = with_exif("JPEG", {270: "a text"})
    return data.replace(struct.pack(">I", 26), struct.pack(">I", 0x7FFFFFFF))
