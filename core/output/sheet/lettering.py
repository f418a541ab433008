"""Text in pictures: a font that comes with the app, wrapping that never cuts, and drawing.

The font is Source Sans 3, which Streamlit's wheel carries for its own pages (the file is opened,
nothing is imported): Latin, Greek, Cyrillic, arrows and signs. A character that it lacks is drawn
with the first of the usual system fonts that has it, and as an empty box where none has.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

REGULAR, BOLD = 400, 600
Color = tuple[int, int, int]

# Letters are drawn so much larger and scaled down: hinted at 13 pixels they stand unevenly.
_FINER = 4

# Pillow looks for them where Linux, macOS and Windows keep fonts. Chinese, Japanese, Korean first.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "seguisym.ttf",
    "DejaVuSans.ttf",
)
_NEVER_A_LETTER = "\ufffe"
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"  # not printable by themselves, they shape their neighbours


@functools.lru_cache(maxsize=1)
def _font_file() -> Path | None:
    spec = importlib.util.find_spec("streamlit")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("static/static/media/SourceSansVF-Upright*.woff2")):
            return path
    return None


@functools.lru_cache(maxsize=64)
def _main_font(size: int, weight: int) -> ImageFont.FreeTypeFont:
    path = _font_file()
    if path is None:
        # Pillow's own, which has little beyond ASCII: better a box than no sheet.
        return ImageFont.load_default(size)  # pyright: ignore[reportReturnType]
    font = ImageFont.truetype(path, size)
    font.set_variation_by_axes([weight])
    return font


@functools.lru_cache(maxsize=256)
def _system_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _draws(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return _drawn(font, letter) != _drawn(font, _NEVER_A_LETTER)


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    image = Image.new("L", (48, 48))
    ImageDraw.Draw(image).text((12, 30), letter, font=font, fill=255, anchor="ls")
    return image.tobytes()


@functools.lru_cache(maxsize=4096)
def _font_name_for(letter: str) -> str:
    """The system font to draw a letter with; "" for the app's own."""
    if letter.isspace() or letter.isascii() or _draws(_main_font(16, REGULAR), letter):
        return ""
    for name in _SYSTEM_FONTS:
        font = _system_font(name, 16)
        if font is not None and _draws(font, letter):
            return name
    return ""


def clean(text: str) -> str:
    """One line of drawable text: any white space is a space, a lone surrogate a question mark;
    control characters are left out.
    """
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(letter for letter in line if letter.isprintable() or letter in _JOINERS)


@dataclass(frozen=True)
class Face:
    """A font of one size (in pixels) and weight."""

    size: int
    weight: int = REGULAR

    @property
    def line_height(self) -> int:
        return round(self.size * 1.3)

    def width(self, text: str) -> float:
        return _width(self, text)

    def font(self, system_font: str = "") -> ImageFont.FreeTypeFont:
        """The font at _FINER times the size."""
        other = _system_font(system_font, self.size * _FINER) if system_font else None
        return other or _main_font(self.size * _FINER, self.weight)

    def draw(self, canvas: Image.Image, x: float, y: float, text: str, fill: Color) -> None:
        """Draws one line; (x, y) is the upper left corner of its line box."""
        rim = self.size  # for letters that reach beyond their box
        column, row = math.floor(x) - rim, math.floor(y) - rim
        size = (math.ceil(self.width(text)) + 2 * rim + 1, self.line_height + 2 * rim + 1)
        finer = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
        draw = ImageDraw.Draw(finer)
        at, baseline = (x - column) * _FINER, round((y - row + self.size) * _FINER)
        for name, run in _runs(text):
            draw.text((at, baseline), run, font=self.font(name), fill=255, anchor="ls")
            at += self.font(name).getlength(run)
        canvas.paste(fill, (column, row), finer.reduce(_FINER))

    def wrap(self, text: str, width: float) -> list[str]:
        """Lines no wider than `width`: broken at spaces, inside a word only where it is wider."""
        lines: list[str] = []
        line = ""
        for word in clean(text).split(" "):
            longer = f"{line} {word}" if line else word
            if self.width(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            *full, line = self._pieces(word, width)
            lines += full
        return [*lines, line]

    def longest_word(self, text: str) -> float:
        return max((self.width(word) for word in clean(text).split(" ")), default=0.0)

    def _pieces(self, word: str, width: float) -> list[str]:
        """A word cut so that each piece fits; at least one letter a piece."""
        pieces: list[str] = []
        while len(word) > 1 and self.width(word) > width:
            low, high = 1, len(word) - 1  # the longest beginning that fits
            while low < high:
                middle = (low + high + 1) // 2
                if self.width(word[:middle]) <= width:
                    low = middle
                else:
                    high = middle - 1
            pieces.append(word[:low])
            word = word[low:]
        return [*pieces, word]


@functools.lru_cache(maxsize=8192)
def _width(face: Face, text: str) -> float:
    return sum(face.font(name).getlength(run) for name, run in _runs(text)) / _FINER


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Runs of letters that one font draws: the font's name and the run."""
    start, current = 0, ""
    for index, letter in enumerate(text):
        name = current if letter == " " else _font_name_for(letter)
        if name != current:
            if index > start:
                yield current, text[start:index]
            start, current = index, name
    if text[start:]:
        yield current, text[start:]
