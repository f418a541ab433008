"""Bytes of a picture's texts -> str, whatever the tool took for the standard's encoding.

The standards: PNG's tEXt and zTXt are Latin-1, iTXt is UTF-8; Exif's strings are ASCII, and its
UserComment begins with eight bytes that name its charset (Exif 3.0, 4.6.5). Many tools write
UTF-8 everywhere, or UTF-16 in either byte order, with a byte order mark or without.
"""

from __future__ import annotations

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CHARSETS = (b"UNICODE", b"ASCII", b"JIS", b"UTF-8", b"UTF8", b"")
"""What stands before a UserComment, in any case, filled up with NUL or blanks to eight bytes."""


def decode(raw: bytes) -> str:
    """A text of unknown encoding: by its mark, as UTF-16 where every other byte is NUL, else as
    UTF-8 where it is valid, else as Latin-1, which takes everything.
    """
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return _clean(raw[len(mark) :].decode(name, "replace"))
    body = raw.rstrip(b"\x00")
    if len(body) >= 4 and body.count(0) * 4 > len(body):
        return _clean(raw.decode(_byte_order(raw), "replace"))
    try:
        return _clean(body.decode("utf-8"))
    except UnicodeDecodeError:
        return _clean(body.decode("latin-1"))


def decode_user_comment(raw: bytes) -> str:
    """Exif's UserComment, with the eight bytes of its charset or without them.

    "UNICODE" is UTF-16 in an unsaid byte order, or UTF-8 all the same: a text of settings in
    UTF-16 always holds NUL bytes, since its blanks, digits and commas have one each.
    """
    charset = raw[:8].rstrip(b"\x00 ").upper()
    if len(raw) < 8 or charset not in _CHARSETS:
        return decode(raw)
    body = raw[8:]
    is_wide = charset == b"UNICODE" and not body.startswith(tuple(mark for mark, _ in _MARKS))
    if is_wide and 0 in body.rstrip(b"\x00"):
        return _clean(body.decode(_byte_order(body), "replace"))
    return decode(body)


def as_bytes(value: object) -> bytes:
    """What Pillow makes of an Exif entry, as the bytes that stand in the file."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("latin-1", "replace")  # Pillow reads strings as Latin-1
    if isinstance(value, tuple):
        try:
            return bytes(value)  # entries of type BYTE, as Windows' XPComment
        except (TypeError, ValueError):
            return b""
    return b""


def _byte_order(raw: bytes) -> str:
    """Return where the ASCII letters' NUL bytes stand: before them is big-endian."""
    return "utf-16-be" if raw[0::2].count(0) >= raw[1::2].count(0) else "utf-16-le"


def _clean(text: str) -> str:
    return text.strip("\x00\ufeff")
