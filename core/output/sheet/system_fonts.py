"""Fonts of this computer for letters that the app's own lacks: Chinese, Japanese, Korean, emoji.

Which letters a font has stands in its "cmap" table (OpenType 1.9, formats 4 and 12), which is read
without opening the font: a computer may have hundreds. Nothing is read before a letter is missed.
"""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".ttf", ".ttc", ".otf", ".otc")
PREFERRED = (
    "notosanscjk-regular",
    "sourcehansans-regular",
    "pingfang",
    "hiraginosansgb",
    "applesdgothicneo",
    "msyh",
    "yugothr",
    "msgothic",
    "malgun",
    "wqy",
    "droidsansfallback",
    "notosans-regular",
    "notocoloremoji",
    "apple color emoji",
    "seguiemj",
    "seguisym",
    "arial unicode",
    "dejavusans",
)
"""Beginnings of file names, those to be used first: upright and of regular weight."""


def folders() -> tuple[Path, ...]:
    """Return where fonts lie on this platform, the person's own first."""
    home = Path.home()
    if sys.platform == "darwin":
        return (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        windows = Path(os.environ.get("WINDIR", r"C:\Windows"))
        return (local / "Microsoft/Windows/Fonts", windows / "Fonts")
    data = Path(os.environ.get("XDG_DATA_HOME", home / ".local/share"))
    shared = os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    return (data / "fonts", home / ".fonts", *(Path(place) / "fonts" for place in shared if place))


def fonts_with(letter: str) -> Iterator[Path]:
    """The font files that list a letter, those of PREFERRED first. Remembered for the process."""
    for path in _font_files():
        if _lists(path, ord(letter)):
            yield path


def forget() -> None:
    """Drop what is remembered of this computer's fonts: one may have been installed."""
    _font_files.cache_clear()
    _ranges.cache_clear()


@functools.lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    found: dict[Path, None] = {}
    for folder in folders():
        try:
            found |= dict.fromkeys(path for path in folder.rglob("*") if _is_font(path))
        except OSError:
            continue
    found |= dict.fromkeys(path for path in _listed_by_fontconfig() if _is_font(path))
    return tuple(sorted(found, key=_order))


def _listed_by_fontconfig() -> list[Path]:
    """Folders of fontconfig's own, on Linux; [] where it is not installed."""
    if sys.platform in ("darwin", "win32") or shutil.which("fc-list") is None:
        return []
    try:
        done = subprocess.run(
            ["fc-list", "--format=%{file}\\n"], capture_output=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [Path(os.fsdecode(line)) for line in done.stdout.splitlines() if line]


def _is_font(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _order(path: Path) -> tuple[int, bool, str]:
    name = path.name.lower()
    place = next((n for n, start in enumerate(PREFERRED) if name.startswith(start)), len(PREFERRED))
    return place, "regular" not in name, name


def _lists(path: Path, code: int) -> bool:
    starts, ends = _ranges(path)
    at = bisect_right(starts, code) - 1
    return at >= 0 and code <= ends[at]


@functools.lru_cache(maxsize=4096)
def _ranges(path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last code points of the runs that a font lists; none of one that is damaged."""
    try:
        runs = sorted(_read_cmap(path))
    except (OSError, struct.error, IndexError, ValueError):
        runs = []
    return tuple(first for first, _ in runs), tuple(last for _, last in runs)


def _read_cmap(path: Path) -> list[tuple[int, int]]:
    """The runs of the best Unicode subtable of a font, the first one of a collection."""
    with path.open("rb") as file:

        def read(at: int, count: int) -> bytes:
            file.seek(at)
            return file.read(count)

        start = struct.unpack(">I", read(12, 4))[0] if read(0, 4) == b"ttcf" else 0
        (tables,) = struct.unpack(">H", read(start + 4, 2))
        directory = read(start + 12, 16 * tables)
        entries = [struct.unpack_from(">4sIII", directory, 16 * n) for n in range(tables)]
        offset, length = next(
            ((at, size) for tag, _, at, size in entries if tag == b"cmap"), (0, 0)
        )
        cmap = read(offset, length) if length else b""
    if not cmap:
        return []
    (count,) = struct.unpack_from(">H", cmap, 2)
    places = {struct.unpack_from(">HHI", cmap, 4 + 8 * n) for n in range(count)}
    unicode = {at for platform, kind, at in places if platform == 0 or (platform, kind) in _WINDOWS}
    formats = {struct.unpack_from(">H", cmap, at)[0]: at for at in unicode}
    if 12 in formats:
        return _groups(cmap, formats[12])
    return _segments(cmap, formats[4]) if 4 in formats else []


_WINDOWS = ((3, 1), (3, 10))
"""Platform and encoding of Unicode subtables: the basic plane, and all of it."""


def _groups(cmap: bytes, at: int) -> list[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", cmap, at + 12)
    return [struct.unpack_from(">II", cmap, at + 16 + 12 * n) for n in range(count)]


def _segments(cmap: bytes, at: int) -> list[tuple[int, int]]:
    (double,) = struct.unpack_from(">H", cmap, at + 6)
    lasts = struct.unpack_from(f">{double // 2}H", cmap, at + 14)
    firsts = struct.unpack_from(f">{double // 2}H", cmap, at + 16 + double)
    return [(a, b) for a, b in zip(firsts, lasts, strict=True) if a <= b and a != 0xFFFF]
