"""The shapes of a figure, and the figure as SVG. Places are in units from the upper left."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Colour = Literal["ink", "muted", "thin", "main", "other", "band"]
Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]

COLOURS: Mapping[Colour, tuple[int, int, int]] = {
    "ink": (33, 30, 27),
    "muted": (107, 101, 92),
    "thin": (178, 173, 166),
    "main": (181, 67, 26),
    "other": (46, 111, 160),
    "band": (242, 222, 214),
}
"""On white paper. As SVG, ink and its greys have the colour of the text around them."""

_SHADES: Mapping[Colour, float] = {"ink": 1.0, "muted": 0.7, "thin": 0.4}

LETTERS = 11.0
"""The size of all letters."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """A line through points; with `fill` the area that they enclose, without an edge."""

    points: tuple[Point, ...]
    colour: Colour
    width: float = 1.0
    fill: bool = False


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A circle, filled or an edge alone."""

    at: Point
    colour: Colour
    radius: float = 4.0
    fill: bool = True


@dataclass(frozen=True, kw_only=True)
class Words:
    """One line of letters whose baseline begins, ends or has its middle at `at`."""

    at: Point
    text: str
    anchor: Anchor = "start"
    colour: Colour = "ink"


Shape = Path | Dot | Words


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Shapes in the order in which they are drawn; `words` is the figure in a line of text."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    words: str


def to_svg(figure: Figure) -> str:
    """An <svg> element for a page: attributes alone, no style and no script."""
    inner = "".join(map(_drawn, figure.shapes))
    label = html.escape(figure.words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
        f'viewBox="0 0 {figure.width:g} {figure.height:g}" width="{figure.width:g}" '
        f'font-size="{LETTERS:g}">{inner}</svg>'
    )


def _drawn(shape: Shape) -> str:
    if isinstance(shape, Path):
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
        if shape.fill:
            return f'<polygon points="{points}" {_paint("fill", shape.colour)}/>'
        return (
            f'<polyline points="{points}" fill="none" {_paint("stroke", shape.colour)} '
            f'stroke-width="{shape.width:g}"/>'
        )
    if isinstance(shape, Dot):
        x, y = shape.at
        fill = _paint("fill", shape.colour) if shape.fill else 'fill="none"'
        return (
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{shape.radius:g}" {fill} '
            f'{_paint("stroke", shape.colour)} stroke-width="1.5"/>'
        )
    x, y = shape.at
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{shape.anchor}" '
        f"{_paint('fill', shape.colour)}>{html.escape(_text(shape.text))}</text>"
    )


def _paint(what: Literal["fill", "stroke"], colour: Colour) -> str:
    """On paper of any colour."""
    if colour in _SHADES:
        return f'{what}="currentColor" {what}-opacity="{_SHADES[colour]:g}"'
    red, green, blue = COLOURS["main" if colour == "band" else colour]
    opacity = f' {what}-opacity="0.18"' if colour == "band" else ""
    return f'{what}="#{red:02x}{green:02x}{blue:02x}"{opacity}'


def _text(text: str) -> str:
    """Without the characters that XML does not allow."""
    return "".join(one if one.isprintable() else " " for one in text)
