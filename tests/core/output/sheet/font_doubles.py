"""Fonts made for a test, of a box a letter: what this computer has must not decide a test."""

from __future__ import annotations

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen


def write_font(path: Path, letters: str) -> Path:
    """A TrueType font that has these letters alone, each a triangle of its own width."""
    names = [f"letter{n}" for n in range(len(letters))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(
        {ord(letter): name for letter, name in zip(letters, names, strict=True)}
    )
    glyphs = {".notdef": _shape(((0, 0), (0, 700), (500, 700), (500, 0)))}
    for n, name in enumerate(names):
        glyphs[name] = _shape(((0, 0), (400 + 50 * n, 800), (800, 0)))
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return path


def _shape(points: tuple[tuple[int, int], ...]) -> object:
    pen = TTGlyphPen(None)
    pen.moveTo(points[0])
    for point in points[1:]:
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()
