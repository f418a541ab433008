"""Figures of shapes: everything stands where its number says, and the SVG is sound."""

from __future__ import annotations

import itertools
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from core.output.effects.effects import find_effects
from core.output.effects.result import Effects
from core.output.figures.vector.charts import curve_chart, difference_chart, share_chart, ticks
from core.output.figures.vector.shapes import Dot, Figure, Path, Words, to_svg
from tests.core.output.effects.grids import FACTORS, SCORE, grid_of

SVG = "{http://www.w3.org/2000/svg}"


def effects_of(values: np.ndarray) -> Effects:
    grid = grid_of(values, known=FACTORS[: values.ndim - 1])
    return find_effects(grid, resamples=0, permutations=199)


@pytest.fixture(scope="module")
def effects() -> Effects:
    rng = np.random.default_rng(1)
    seeds = rng.normal(0, 3, (6, 1))
    return effects_of(20 + seeds + np.array([0.0, 1.0, 4.0]) + rng.normal(0, 0.5, (6, 3)))


def of_kind(figure: Figure | None, kind: type) -> list:
    assert figure is not None
    return [shape for shape in figure.shapes if isinstance(shape, kind)]


def is_line(places: list[float], values: list[float]) -> bool:
    """Whether places are one linear function of values: each value is drawn true to scale."""
    slope, start = np.polyfit(values, places, 1)
    return bool(np.allclose(np.polyval((slope, start), values), places, atol=1e-6))


def test_a_curve_is_true_to_scale_both_ways(effects: Effects) -> None:
    (curve,) = effects.curves
    figure = curve_chart(effects, curve)
    lines = [p for p in of_kind(figure, Path) if p.colour == "thin" and len(p.points) == 3]
    assert len(lines) == 6
    heights = [y for line in lines for _, y in line.points]
    values = [value for line in curve.lines for value in line]
    assert is_line(heights, [value or 0.0 for value in values])
    assert is_line([x for x, _ in lines[0].points], [3.0, 5.0, 7.0])
    assert heights[int(np.argmax(values))] == min(heights), "more is higher"
    means = of_kind(figure, Dot)
    assert is_line([one.at[1] for one in means], [mean or 0.0 for mean in curve.mean])
    (band,) = [p for p in of_kind(figure, Path) if p.colour == "band"]
    ends = [end for one in curve.band if one for end in (one.high,)]
    lows = [one.low for one in reversed(curve.band) if one]
    assert is_line([y for _, y in band.points], [*ends, *lows])


def test_differences_and_their_intervals_are_true_to_scale(effects: Effects) -> None:
    found = effects.differences
    figure = difference_chart(effects, found)
    dots = of_kind(figure, Dot)
    bars = [p for p in of_kind(figure, Path) if p.width == 2]
    (zero,) = [p for p in of_kind(figure, Path) if p.colour == "muted"]
    places = [dot.at[0] for dot in dots] + [x for bar in bars for x, _ in bar.points]
    values = [one.mean or 0.0 for one in found]
    values += [
        end for one in found if one.interval for end in (one.interval.low, one.interval.high)
    ]
    assert is_line([*places, zero.points[0][0]], [*values, 0.0])
    assert [dot.fill for dot in dots] == [one.is_shown for one in found]
    assert any(dot.fill for dot in dots)
    names = [words.text for words in of_kind(figure, Words) if words.anchor == "end"]
    assert names == ["Guidance scale 3 → 5", "Guidance scale 5 → 7"]


def test_shares_are_bars_from_zero(effects: Effects) -> None:
    (table,) = effects.shares
    figure = share_chart(table)
    bars = [p for p in of_kind(figure, Path) if p.fill]
    shares = sorted((one.share for one in table.shares), reverse=True)
    widths = [bar.points[1][0] - bar.points[0][0] for bar in bars]
    assert is_line([0.0, *widths], [0.0, *shares])
    assert widths == sorted(widths, reverse=True)


def test_gaps_stay_gaps() -> None:
    values = np.arange(12.0).reshape(4, 3) + np.array([[0.0], [0.3], [1.0], [0.2]])
    values[0, 1] = np.nan
    effects = effects_of(values)
    figure = curve_chart(effects, effects.curves[0])
    lines = [p for p in of_kind(figure, Path) if p.colour == "thin" and p.width == 1 and p.points]
    assert sorted(len(p.points) for p in lines if p.points[0][0] > 64) == [3, 3, 3]
    assert len([dot for dot in of_kind(figure, Dot) if dot.colour == "thin"]) == 2


def test_one_seed_one_level_and_nothing() -> None:
    once = effects_of(np.array([[20.0, 21.0, 25.0]]))
    assert curve_chart(once, once.curves[0]) is not None
    alone = effects_of(np.array([[20.0], [21.0]]))
    assert curve_chart(alone, alone.curves[0]) is not None
    assert difference_chart(alone, []) is None
    same = effects_of(np.full((3, 2), 20.0))
    assert difference_chart(same, same.differences) is not None


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3.2, 8.1), (0.0021, 0.0029), (1e6, 3e6), (-1e-9, 1e-9)]
)
def test_ticks_are_round_within_and_evenly_apart(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert low <= found[0] + 1e-12
    assert found[-1] <= high + 1e-12
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - one) for one in (1, 2, 5)) < 1e-6
    with pytest.raises(ValueError, match="no room"):
        ticks(1, 1)


def test_the_svg_is_sound_and_shows_every_shape(effects: Effects) -> None:
    figure = difference_chart(effects, effects.differences)
    assert figure is not None
    root = ElementTree.fromstring(to_svg(figure))
    assert root.get("viewBox") == f"0 0 {figure.width:g} {figure.height:g}"
    assert len(list(root)) == len(figure.shapes)
    assert [e.text for e in root.iter(f"{SVG}text")] == [
        w.text for w in figure.shapes if isinstance(w, Words)
    ]
    assert not [e for e in root.iter() if "style" in e.attrib or e.tag.endswith("script")]


def test_letters_of_a_label_are_letters() -> None:
    hostile = '<script>&"\x00\x1b'
    figure = Figure(
        width=9, height=9, shapes=(Words(at=(0, 0), text=hostile),), words=f"{SCORE.label}{hostile}"
    )
    text = to_svg(figure).replace("\x00", " ").replace("\x1b", " ")
    (words,) = ElementTree.fromstring(text).iter(f"{SVG}text")
    assert words.text == '<script>&"  '
