"""Text in pictures: a font that comes with the app, wrapping that never cuts, and drawing.

The font is Source Sans 3 (SIL Open Font License 1.1, fonts/OFL.txt): Latin, Greek, Cyrillic, arrows
and signs. A letter that it lacks is drawn with a font of this computer (`system_fonts`), and as an
empty box where none has it: `missing_letters` names those, `missing_note` says so.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.output.sheet import system_fonts
from core.output.texts.one_line import JOINERS, clean

REGULAR, BOLD = 400, 600
FONTS = Path(__file__).parent / "fonts"
FONT_FILES = {
    REGULAR: FONTS / "SourceSans3-Regular.ttf",
    BOLD: FONTS / "SourceSans3-SemiBold.ttf",
}
Color = tuple[int, int, int]

FINER = 4
"""Letters are drawn so much larger and scaled down: hinted at 13 pixels they stand unevenly."""

_STRIKES = (109, 136, 160, 128, 96, 64)
"""Sizes in pixels of the pictures in emoji fonts, which have no other: Noto's, then Apple's."""

_NEVER_A_LETTER = "\ufffe"
_MOST_NAMED = 12


@dataclass(frozen=True, eq=False)
class _Glyphs:
    """A font as opened. Of one of pictures (`is_color`) the size is `scale` times what is drawn."""

    font: ImageFont.FreeTypeFont
    scale: float = 1.0

    @property
    def is_color(self) -> bool:
        return self.scale != 1.0

    def length(self, text: str) -> float:
        return self.font.getlength(text) * self.scale

    def picture(self, text: str) -> Image.Image:
        """The text in the font's own colours, (x, baseline) at (size, 2 * size), at its scale."""
        size = round(self.font.size)
        canvas = Image.new("RGBA", (round(self.font.getlength(text)) + 2 * size, 3 * size))
        ImageDraw.Draw(canvas).text(
            (size, 2 * size), text, font=self.font, fill="black", anchor="ls", embedded_color=True
        )
        wanted = (max(round(side * self.scale), 1) for side in canvas.size)
        return canvas.resize((next(wanted), next(wanted)), Image.Resampling.LANCZOS)

    def draws(self, letter: str) -> bool:
        """Return whether it has the letter, and not its box for what it lacks."""
        return self.picture(letter).tobytes() != self.picture(_NEVER_A_LETTER).tobytes()


@functools.lru_cache(maxsize=64)
def _main_font(size: int, weight: int) -> _Glyphs:
    return _Glyphs(ImageFont.truetype(FONT_FILES[weight], size))


@functools.lru_cache(maxsize=256)
def _system_font(path: Path, size: int) -> _Glyphs | None:
    """None for a file that is no usable font."""
    for strike in (size, *_STRIKES):
        try:
            font = ImageFont.truetype(path, strike)
        except OSError:
            continue
        return _Glyphs(font, 1.0 if strike == size else size / strike)
    return None


@functools.lru_cache(maxsize=4096)
def _system_font_for(letter: str) -> Path | None:
    """The first font of this computer that draws a letter."""
    for path in system_fonts.fonts_with(letter):
        glyphs = _system_font(path, 16)
        if glyphs is not None and glyphs.draws(letter):
            return path
    return None


@functools.lru_cache(maxsize=4096)
def is_ours(letter: str) -> bool:
    """Return whether the font that comes with the app has a letter."""
    return letter.isspace() or letter.isascii() or _main_font(16, REGULAR).draws(letter)


def forget_fonts() -> None:
    """Look for this computer's fonts again at the next letter that needs one."""
    system_fonts.forget()
    for remembered in (_system_font, _system_font_for, _width):
        remembered.cache_clear()


def missing_letters(texts: Iterable[str]) -> str:
    """The letters that no font here has, each once, as they come: they are drawn as boxes."""
    letters = dict.fromkeys(letter for text in texts for letter in clean(text))
    return "".join(
        letter
        for letter in letters
        if letter not in JOINERS and not is_ours(letter) and _system_font_for(letter) is None
    )


def missing_note(texts: Iterable[str]) -> str:
    """A sentence for who reads the picture; "" where every letter is drawn."""
    letters = missing_letters(texts)
    if not letters:
        return ""
    named = ", ".join(
        f"{letter} ({unicodedata.name(letter, f'U+{ord(letter):04X}').lower()})"
        for letter in letters[:_MOST_NAMED]
    )
    more = f" and {len(letters) - _MOST_NAMED} more" if len(letters) > _MOST_NAMED else ""
    return (
        f"No font on this computer has {named}{more}: boxes are shown instead. Install a font that "
        "has them, such as Noto Sans CJK or Noto Color Emoji, and start the app again."
    )


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

    def glyphs(self, system_font: Path | None = None) -> _Glyphs:
        """The font at FINER times the size."""
        other = _system_font(system_font, self.size * FINER) if system_font else None
        return other or _main_font(self.size * FINER, self.weight)

    def draw(self, canvas: Image.Image, x: float, y: float, text: str, fill: Color) -> None:
        """Draw one line; (x, y) is the upper left corner of its line box."""
        rim = self.size  # for letters that reach beyond their box
        column, row = math.floor(x) - rim, math.floor(y) - rim
        size = (math.ceil(self.width(text)) + 2 * rim + 1, self.line_height + 2 * rim + 1)
        finer = Image.new("L", (size[0] * FINER, size[1] * FINER))
        draw = ImageDraw.Draw(finer)
        at, baseline = (x - column) * FINER, round((y - row + self.size) * FINER)
        in_color: list[tuple[float, Image.Image]] = []
        for path, run in runs(text):
            glyphs = self.glyphs(path)
            if glyphs.is_color:
                in_color.append((column + at / FINER, glyphs.picture(run)))
            else:
                draw.text((at, baseline), run, font=glyphs.font, fill=255, anchor="ls")
            at += glyphs.length(run)
        canvas.paste(fill, (column, row), finer.reduce(FINER))
        for left, picture in in_color:
            small = picture.reduce(FINER)
            canvas.paste(small, (round(left) - self.size, math.floor(y) - self.size), small)

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
    return sum(face.glyphs(path).length(run) for path, run in runs(text)) / FINER


def runs(text: str) -> Iterator[tuple[Path | None, str]]:
    """Runs of letters that one font draws: the system's font, None for ours, and the run."""
    start, current = 0, None
    for index, letter in enumerate(text):
        path = current
        if letter != " " and letter not in JOINERS:
            path = None if is_ours(letter) else _system_font_for(letter)
        if path != current:
            if index > start:
                yield current, text[start:index]
            start, current = index, path
    if text[start:]:
        yield current, text[start:]
