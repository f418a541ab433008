"""Effects as figures of shapes: curves over a factor, differences with intervals, and shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.output.effects.grid import Factor, Measure
from core.output.effects.result import Curve, Difference, Effects, ShareTable
from core.output.figures.vector.shapes import LETTERS, Dot, Figure, Path, Point, Shape, Words

WIDTH = 460.0
MOST_ROWS = 24
"""Differences and shares that one figure has room for."""

_LONGEST = 30
_ROW = 22.0
_LETTER = 0.5 * LETTERS  # about the width of one
_TICKS = 5


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Numbers from `low` to `high` to places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int = _TICKS) -> list[float]:
    """Return about `most` round numbers from low to high: steps of 1, 2 or 5 times a power of 10.

    Raises ValueError where low is not below high.
    """
    if not low < high:
        raise ValueError(f"{low} to {high} has no room")
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def curve_chart(effects: Effects, curve: Curve) -> Figure | None:
    """A thin line a block, over them the mean of the complete blocks and its band; gaps stay gaps.
    None where nothing was measured.
    """
    factor, measure = effects.factor(curve.factor), effects.measure(curve.measure)
    order = factor.order()
    values = [v for line in curve.lines for v in line if v is not None]
    if not values:
        return None
    values += [end for band in curve.band if band for end in (band.low, band.high)]
    height = 184.0
    low, high = _roomy(min(values), max(values))
    up = Scale(low=low, high=high, start=height - 48, end=24)
    along = _along(factor, 64, WIDTH - 16)
    shapes: list[Shape] = [*_left_axis(up, measure), *_bottom_names(factor, along, height - 48)]
    shapes.append(Words(at=(64, 12), text=measure.label))
    shapes.append(_title(factor.label, 64, height))
    ends = [(along[i], band) for i in order if (band := curve.band[i]) is not None]
    if len(ends) > 1:
        outline = [(x, up(band.high)) for x, band in ends]
        outline += [(x, up(band.low)) for x, band in reversed(ends)]
        shapes.append(Path(points=tuple(outline), colour="band", fill=True))
    is_once = len(curve.blocks) < 2
    for line in curve.lines:
        shapes += _line([(along[i], line[i]) for i in order], up, is_mean=is_once)
    shapes += _line([(along[i], curve.mean[i]) for i in order], up, is_mean=True)
    words = f"{measure.label} over {factor.label}: {len(curve.blocks)} {effects.block_label}s"
    return Figure(width=WIDTH, height=height, shapes=tuple(shapes), words=words)


def difference_chart(effects: Effects, found: Sequence[Difference]) -> Figure | None:
    """Each difference with its interval, the first one on top; filled where it is shown. None
    where there is none.
    """
    rows = [one for one in found if one.mean is not None][:MOST_ROWS]
    if not rows:
        return None
    names = [_name(effects, one) for one in rows]
    values = [0.0]
    for one in rows:
        values += [one.mean or 0.0]
        values += [one.interval.low, one.interval.high] if one.interval else []
    measure = effects.measure(rows[0].measure)
    low, high = _roomy(min(values), max(values))
    along = Scale(low=low, high=high, start=_room(names), end=WIDTH - 16)
    height = 56 + _ROW * len(rows)
    shapes: list[Shape] = [
        *_bottom_axis(along, height - 40),
        _title(f"Difference in {_with_unit(measure)}", along.start, height),
        Path(points=((along(0), 8), (along(0), height - 40)), colour="muted"),
    ]
    for index, (name, one) in enumerate(zip(names, rows, strict=True)):
        y = 8 + _ROW * (index + 0.5)
        colour = "main" if one.is_shown else "other"
        shapes.append(Words(at=(along.start - 8, y + 4), text=name, anchor="end"))
        if one.interval:
            ends = ((along(one.interval.low), y), (along(one.interval.high), y))
            shapes.append(Path(points=ends, colour=colour, width=2))
        shapes.append(Dot(at=(along(one.mean or 0.0), y), colour=colour, fill=one.is_shown))
    words = f"{len(rows)} differences in {measure.label} with their 95 % intervals"
    return Figure(width=WIDTH, height=height, shapes=tuple(shapes), words=words)


def share_chart(table: ShareTable) -> Figure | None:
    """A bar for each term, the largest on top, with its interval. None where there is none."""
    shares = sorted(table.shares, key=lambda one: -one.share)[:MOST_ROWS]
    if not shares:
        return None
    names = [_short(one.label) for one in shares]
    along = Scale(low=0, high=100, start=_room(names), end=WIDTH - 16)
    height = 56 + _ROW * len(shares)
    shapes: list[Shape] = [
        *_bottom_axis(along, height - 40),
        _title(f"Share of the differences in {table.label} (%)", along.start, height),
    ]
    for index, (name, one) in enumerate(zip(names, shares, strict=True)):
        top = 8 + _ROW * index + 3
        middle, bottom = top + _ROW / 2 - 3, top + _ROW - 6
        end = along(100 * one.share)
        box = ((along.start, top), (end, top), (end, bottom), (along.start, bottom))
        colour = "main" if one.kind == "factor" else "other"
        shapes.append(Words(at=(along.start - 8, middle + 4), text=name, anchor="end"))
        shapes.append(Path(points=box, colour=colour, fill=True))
        if one.interval:
            ends = tuple(
                (along(100 * min(max(side, 0.0), 1.0)), middle)
                for side in (one.interval.low, one.interval.high)
            )
            shapes.append(Path(points=ends, colour="muted", width=1.5))
    words = f"Shares of the differences in {table.label}"
    return Figure(width=WIDTH, height=height, shapes=tuple(shapes), words=words)


def _roomy(low: float, high: float) -> tuple[float, float]:
    """With room at both ends; around a single number too."""
    spare = 0.06 * (high - low) or max(abs(high) * 0.05, 1e-6)
    return low - spare, high + spare


def _along(factor: Factor, start: float, end: float) -> list[float]:
    """The place of each level: at true distances where they are numbers."""
    at = [float(index) for index in range(len(factor.levels))]
    if factor.numbers is not None:
        at = list(factor.numbers)
    low, high = min(at), max(at)
    if low == high:
        return [(start + end) / 2 for _ in at]
    scale = Scale(low=low, high=high, start=start + 24, end=end - 24)
    return [scale(one) for one in at]


def _line(points: Sequence[tuple[float, float | None]], up: Scale, *, is_mean: bool) -> list[Shape]:
    """Pieces between the gaps; the mean has dots."""
    found: list[Shape] = []
    piece: list[Point] = []
    for x, value in (*points, (0.0, None)):
        if value is not None:
            piece.append((x, up(value)))
            continue
        if len(piece) > 1:
            colour, width = ("main", 2.5) if is_mean else ("thin", 1.0)
            found.append(Path(points=tuple(piece), colour=colour, width=width))
        if is_mean:
            found += [Dot(at=at, colour="main", radius=3.5) for at in piece]
        elif len(piece) == 1:
            found.append(Dot(at=piece[0], colour="thin", radius=2))
        piece = []
    return found


def _left_axis(up: Scale, measure: Measure) -> Iterator[Shape]:
    marks = ticks(up.low, up.high)
    for mark in marks:
        y = up(mark)
        yield Path(points=((64, y), (WIDTH - 16, y)), colour="thin", width=0.4)
        yield Words(at=(58, y + 4), text=_number(mark, marks), anchor="end", colour="muted")


def _bottom_axis(along: Scale, y: float) -> Iterator[Shape]:
    yield Path(points=((along.start, y), (along.end, y)), colour="thin")
    marks = ticks(along.low, along.high)
    for mark in marks:
        at = (along(mark), y + 14)
        yield Words(at=at, text=_number(mark, marks), anchor="middle", colour="muted")


def _bottom_names(factor: Factor, along: Sequence[float], y: float) -> Iterator[Shape]:
    """The levels below; where they would overlap some are left out."""
    yield Path(points=((64, y), (WIDTH - 16, y)), colour="thin")
    free = -math.inf
    for index in factor.order():
        name = _short(factor.levels[index], 14)
        half = len(name) * _LETTER / 2
        if along[index] - half > free:
            yield Words(at=(along[index], y + 14), text=name, anchor="middle", colour="muted")
            free = along[index] + half + 4


def _title(text: str, start: float, height: float) -> Words:
    return Words(at=((start + WIDTH - 16) / 2, height - 8), text=_short(text, 64), anchor="middle")


def _room(names: Sequence[str]) -> float:
    """Where a chart begins beside its names."""
    return 24 + max(len(name) for name in names) * _LETTER


def _name(effects: Effects, one: Difference) -> str:
    factor = effects.factor(one.factor)
    return _short(f"{factor.label} {factor.levels[one.start]} → {factor.levels[one.end]}", 36)


def _with_unit(measure: Measure) -> str:
    return f"{measure.label} ({measure.unit})" if measure.unit else measure.label


def _number(value: float, marks: Sequence[float]) -> str:
    """With as many digits as tell the marks apart."""
    step = marks[1] - marks[0] if len(marks) > 1 else abs(value) or 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _short(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
