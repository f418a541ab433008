"""Every text in a picture file, with its place: PNG's chunks, Exif, XMP, a JPEG's comment.

Nothing is decoded: a PNG's chunks are walked before and behind its pixels. What the texts mean is
for others to say.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import ExifTags, Image

from core.diffusion.recipe.images import PictureError, open_header
from core.output.texts.files.encodings import as_bytes, decode, decode_user_comment

# Broken Exif data is read as far as it goes: there is nothing for the terminal to say.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

MAX_TEXT = 4 * 2**20
"""Letters of a text that is read; of a longer one the beginning is shown."""
SHOWN = 2_000
_MAX_CHUNKS = 100_000

_DAMAGED = "The picture is damaged: it ends early or is corrupt."
_NAMED = re.compile(r"(prompt|workflow)\s{0,4}:\s{0,4}(?=[{\[])", re.I)
"""How ComfyUI's nodes mark what they put into Make, Model and ImageDescription."""

_EXIF: tuple[tuple[int, str], ...] = (
    (ExifTags.Base.UserComment, "UserComment"),
    (ExifTags.Base.ImageDescription, "ImageDescription"),
    (ExifTags.Base.Make, "Make"),
    (ExifTags.Base.Model, "Model"),
    (ExifTags.Base.Software, "Software"),
    (ExifTags.Base.MakerNote, "MakerNote"),
    (ExifTags.Base.XPComment, "XPComment"),
    (ExifTags.Base.XPTitle, "XPTitle"),
)
_XMP = ("description", "UserComment", "CreatorTool", "parameters")
_RAW_PROFILES = ("Raw profile type exif", "Raw profile type APP1")


@dataclass(frozen=True, kw_only=True)
class FoundText:
    """A text and where it stands: `place` in words ("PNG text"), `key` as the file names it.

    `is_cut` says that only its beginning is here: the whole is longer than MAX_TEXT.
    """

    place: str
    key: str
    text: str
    is_cut: bool = False


def find_texts(data: bytes) -> tuple[FoundText, ...]:
    """Every text of a PNG, JPEG or WebP file that is not blank, in the file's order.

    Raises PictureError for another file, for one above 20 MB or 40 megapixels, and for one that
    is damaged before any text was found.
    """
    with open_header(data) as image:
        try:
            texts = list(_png(data) if image.format == "PNG" else _exif_files(image))
        except (OSError, ValueError, SyntaxError, EOFError, zlib.error):
            raise PictureError(_DAMAGED) from None
    return tuple(text for text in texts if text.text.strip())


def found_text(place: str, key: str, text: str) -> FoundText:
    """A text under its key, cut where it is too long to be read."""
    if named := _NAMED.match(text):
        key, text = named[1].lower(), text[named.end() :]
    is_cut = len(text) > MAX_TEXT
    return FoundText(place=place, key=key, text=text[:SHOWN] if is_cut else text, is_cut=is_cut)


def _png(data: bytes) -> Iterator[FoundText]:
    """PNG's text chunks in any order; a file that ends early is damaged if it gave none."""
    at, has_text = 8, False
    for _ in range(_MAX_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + size
        if kind == b"IEND":
            return
        if len(kind) < 4 or end > len(data):
            break
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            for text in _chunk(kind, data[at + 8 : end - 4]):
                has_text = True
                yield text
        at = end
    if not has_text:
        raise PictureError(_DAMAGED)


def _chunk(kind: bytes, body: bytes) -> Iterator[FoundText]:
    if kind == b"eXIf":
        yield from _exif(_exif_of(body))
        return
    keyword, _, rest = body.partition(b"\x00")
    key = decode(keyword)
    if kind == b"zTXt":
        rest = _unpack(rest[1:])
    elif kind == b"iTXt":
        packed, rest = rest[:1] == b"\x01", rest[2:]
        rest = rest.partition(b"\x00")[2].partition(b"\x00")[2]  # a language, a translated key
        rest = _unpack(rest) if packed else rest
    if key == "XML:com.adobe.xmp":
        yield from _xmp(rest)
    elif key in _RAW_PROFILES:
        yield from _exif(_exif_of(_from_hex(rest)))
    else:
        yield found_text("PNG text", key, decode(rest))


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, MAX_TEXT)
    if unpacker.unconsumed_tail:
        raise ValueError("the text unpacks to more than is read")
    return text


def _from_hex(profile: bytes) -> bytes:
    """ImageMagick's "Raw profile": its name, its length, then hexadecimal lines."""
    lines = profile.strip().split(b"\n", 2)
    try:
        return bytes.fromhex(lines[-1].decode("ascii"))
    except ValueError:
        return b""


def _exif_files(image: Image.Image) -> Iterator[FoundText]:
    """The texts of a JPEG or WebP file."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        yield from _exif(_exif_of(exif))
    if image.info.get("comment"):
        yield found_text("JPEG comment", "Comment", decode(as_bytes(image.info["comment"])))
    yield from _xmp(as_bytes(image.info.get("xmp")))


def _exif_of(raw: bytes) -> Image.Exif:
    exif = Image.Exif()
    try:
        exif.load(raw)
    except Exception:  # Pillow raises whatever the broken bytes lead it into
        return Image.Exif()
    return exif


def _exif(exif: Image.Exif) -> Iterator[FoundText]:
    """The texts of IFD0 and of the Exif IFD: tools put a UserComment into either."""
    for place in (exif, _inner(exif)):
        for tag, key in _EXIF:
            try:
                raw = as_bytes(place.get(tag))
            except Exception:  # an entry that points past the end
                continue
            is_comment = tag == ExifTags.Base.UserComment
            yield found_text("Exif", key, decode_user_comment(raw) if is_comment else decode(raw))


def _inner(exif: Image.Exif) -> dict[int, object]:
    try:
        return dict(exif.get_ifd(ExifTags.IFD.Exif))
    except Exception:
        return {}


def _xmp(raw: bytes) -> Iterator[FoundText]:
    """The descriptions in an XMP packet, as elements or as attributes."""
    text = decode(raw)
    if not text.strip() or len(text) > MAX_TEXT or "<!" in text:
        return  # no XMP needs a DOCTYPE, and entities of one unpack to gigabytes
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name in _XMP:
            yield found_text("XMP", name, "".join(element.itertext()).strip())
        for attribute, value in element.attrib.items():
            if attribute.rpartition("}")[2] in _XMP:
                yield found_text("XMP", attribute.rpartition("}")[2], value)
