"""A text in the lowest bits of a picture's pixels: NovelAI's, and the "stealth pnginfo" of others.

Bits go down the columns from the left: fifteen letters that name the kind, 32 bits with the
payload's length in bits, the payload, packed by gzip in the kinds that end in "comp". It lies in
the alpha channel, or in red, green and blue of each pixel in turn.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from PIL import Image

from core.diffusion.recipe.images import PictureError, open_header
from core.output.texts.files.containers import MAX_TEXT, FoundText, found_text

_KINDS = {
    b"stealth_pnginfo": "A",
    b"stealth_pngcomp": "A",
    b"stealth_rgbinfo": "RGB",
    b"stealth_rgbcomp": "RGB",
}
_NAME, _LENGTH = 15, 4
_PLACE = "hidden in the pixels"


def hidden_texts(data: bytes) -> tuple[FoundText, ...]:
    """The hidden texts of a PNG or WebP file, () where there are none.

    Decodes the picture. Raises PictureError as `find_texts` does.
    """
    with open_header(data) as image:
        if image.format not in ("PNG", "WEBP") or image.mode not in ("RGB", "RGBA"):
            return ()
        try:
            image.load()
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
            raise PictureError("The picture is damaged: its pixels cannot be read.") from None
        for channels in ("A", "RGB"):
            if set(channels) <= set(image.mode) and (text := _read(image, channels)):
                return tuple(_as_texts(text))
    return ()


def _read(image: Image.Image, channels: str) -> str:
    head = _bytes(image, channels, 0, _NAME + _LENGTH)
    name, size = head[:_NAME], int.from_bytes(head[_NAME:], "big") // 8
    room = image.width * image.height * len(channels) // 8 - len(head)
    if _KINDS.get(name) != channels or not 0 < size <= min(room, MAX_TEXT):
        return ""
    payload = _bytes(image, channels, _NAME + _LENGTH, size)
    if name.endswith(b"comp"):
        unpacker = zlib.decompressobj(31)  # gzip's header and checksum
        try:
            payload = unpacker.decompress(payload, MAX_TEXT)
        except zlib.error:
            return ""
        if unpacker.unconsumed_tail:
            return ""
    return payload.decode("utf-8", "replace")


def _bytes(image: Image.Image, channels: str, start: int, count: int) -> bytes:
    """`count` bytes from byte `start` of the bits; only the columns that hold them are read."""
    a_column = image.height * len(channels)
    first = start * 8 // a_column
    last = min(-(-(start + count) * 8 // a_column), image.width)
    part = np.asarray(image.crop((first, 0, last, image.height)))  # (height, columns, channels)
    planes = part[..., -1:] if channels == "A" else part[..., :3]
    bits = (planes.transpose(1, 0, 2).reshape(-1) & 1)[start * 8 - first * a_column :]
    return np.packbits(bits[: count * 8]).tobytes()


def _as_texts(text: str) -> list[FoundText]:
    """NovelAI hides an object of what its PNG texts hold, others the text itself."""
    try:
        read: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [found_text(_PLACE, "parameters", text)]
    if not isinstance(read, dict):
        return [found_text(_PLACE, "parameters", text)]
    return [
        found_text(_PLACE, str(key), value if isinstance(value, str) else json.dumps(value))
        for key, value in read.items()
    ]
