"""Figures of a grid's effects: curves over a factor, differences with intervals, and shares."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.output.effects.grid import Factor, Measure
from core.output.effects.result import Curve, Difference, Effects, ShareTable
from core.output.figures.figures import LINE_COLOURS

MAIN, OTHER = LINE_COLOURS[0], LINE_COLOURS[1]
MOST_ROWS = 24
CURVE, DIFFERENCE, SHARE = EFFECT_FIGURES = ("curve", "difference", "share")
"""The figures' names, by which the glossary has their words."""

"""Differences that one figure has room for."""

_BAND = "rgba(181, 67, 26, 0.18)"
_THIN = "rgba(138, 133, 126, 0.55)"
_LONGEST = 32


def curve_figure(effects: Effects, curve: Curve) -> go.Figure:
    """A thin line a block, and over it the mean of the complete blocks with its band. Gaps stay
    gaps. With one block it is drawn alone.
    """
    factor, measure = effects.factor(curve.factor), effects.measure(curve.measure)
    order = factor.order()
    along = _along(factor)
    is_once = len(curve.blocks) < 2
    figure = go.Figure()
    if any(band is not None for band in curve.band):
        ends = [(along[i], band) for i in order if (band := curve.band[i]) is not None]
        figure.add_scatter(
            x=[x for x, _ in ends] + [x for x, _ in reversed(ends)],
            y=[band.high for _, band in ends] + [band.low for _, band in reversed(ends)],
            mode="lines",
            fill="toself",
            fillcolor=_BAND,
            line={"width": 0},
            hoverinfo="skip",
            name="95 % interval",
        )
    for index, (block, line) in enumerate(zip(curve.blocks, curve.lines, strict=True)):
        figure.add_scatter(
            x=[along[i] for i in order],
            y=[line[i] for i in order],
            mode="lines+markers" if is_once or len(order) == 1 else "lines",
            line={"color": MAIN if is_once else _THIN, "width": 2 if is_once else 1},
            connectgaps=False,
            name=f"Each {effects.block_label}" if not is_once else _short(measure.label),
            legendgroup="blocks",
            showlegend=index == 0 and not is_once,
            hovertemplate=f"{effects.block_label.capitalize()} {html.escape(block)}<br>%{{x}}: "
            f"%{{y:.{measure.digits}f}}<extra></extra>",
        )
    if any(value is not None for value in curve.mean):
        figure.add_scatter(
            x=[along[i] for i in order],
            y=[curve.mean[i] for i in order],
            mode="lines+markers",
            line={"color": MAIN, "width": 3},
            marker={"size": 8},
            name=f"Mean of {curve.complete} {effects.block_label}s",
            hovertemplate=f"Mean<br>%{{x}}: %{{y:.{measure.digits}f}}<extra></extra>",
        )
    figure.update_xaxes(title=_short(factor.label), type=None if _is_number(factor) else "category")
    figure.update_yaxes(title=_title(measure))
    return _laid_out(figure, 340)


def difference_figure(effects: Effects, found: Sequence[Difference]) -> go.Figure:
    """Each difference as a point with its interval, the first one on top; 0 is a line. Those that
    are shown (`Difference.is_shown`) are filled. Of more than MOST_ROWS the first are drawn.
    """
    rows = [one for one in found if one.mean is not None][:MOST_ROWS]
    measure = effects.measure(rows[0].measure) if rows else None
    names = _distinct([difference_name(effects, one) for one in rows])
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": _THIN, "width": 1.5})
    for is_shown in (True, False):
        some = [
            (name, one) for name, one in zip(names, rows, strict=True) if one.is_shown == is_shown
        ]
        figure.add_scatter(
            x=[one.mean for _, one in some],
            y=[name for name, _ in some],
            mode="markers",
            marker={
                "size": 11,
                "color": MAIN if is_shown else "rgba(255, 255, 255, 0)",
                "line": {"color": MAIN if is_shown else OTHER, "width": 2},
            },
            error_x=_bars(some, MAIN if is_shown else OTHER),
            name="Shown" if is_shown else "Not shown",
            showlegend=False,
            customdata=[_hover(one, measure) for _, one in some] if measure else [],
            hovertemplate="%{y}<br>%{customdata}<extra></extra>",
        )
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=names[::-1], automargin=True
    )
    figure.update_xaxes(title=f"Difference in {_title(measure)}" if measure else "")
    return _laid_out(figure, 110 + 30 * max(2, len(rows)))


def share_figure(table: ShareTable) -> go.Figure:
    """A bar for each term, the largest on top, with its interval where there is one."""
    shares = sorted(table.shares, key=lambda one: one.share)
    low = [max(0.0, s.share - s.interval.low) if s.interval else 0.0 for s in shares]
    high = [max(0.0, s.interval.high - s.share) if s.interval else 0.0 for s in shares]
    figure = go.Figure(
        go.Bar(
            x=[100 * one.share for one in shares],
            y=_distinct([_short(one.label) for one in shares]),
            orientation="h",
            marker={"color": [MAIN if one.kind == "factor" else OTHER for one in shares]},
            text=[f"{100 * one.share:.0f} %" for one in shares],
            textposition="auto",
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * value for value in high],
                "arrayminus": [100 * value for value in low],
                "color": _THIN,
            },
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    figure.update_xaxes(title=f"Share of the differences in {_short(table.label)} (%)")
    figure.update_yaxes(automargin=True)
    return _laid_out(figure, 110 + 34 * max(2, len(shares)))


def difference_name(effects: Effects, one: Difference) -> str:
    """ "Guidance scale 3 → 7"."""
    factor = effects.factor(one.factor)
    start, end = (_short(factor.levels[index]) for index in (one.start, one.end))
    return f"{_short(factor.label)} {start} → {end}"


def _bars(some: Sequence[tuple[str, Difference]], colour: str) -> dict[str, Any]:
    ends = [(one.mean or 0.0, one.interval) for _, one in some]
    return {
        "type": "data",
        "symmetric": False,
        "array": [i.high - mean if i else 0.0 for mean, i in ends],
        "arrayminus": [mean - i.low if i else 0.0 for mean, i in ends],
        "color": colour,
        "thickness": 2,
        "width": 5,
    }


def _hover(one: Difference, measure: Measure) -> str:
    mean = measure.show(one.mean or 0.0)
    if one.interval is None:
        return mean
    ends = f"{measure.show(one.interval.low)} to {measure.show(one.interval.high)}"
    return f"{mean} (95 % CI {ends}; {one.agree} of {len(one.blocks)} agree)"


def _along(factor: Factor) -> list[Any]:
    if factor.numbers is not None:
        return list(factor.numbers)
    return _distinct([_short(level) for level in factor.levels])


def _is_number(factor: Factor) -> bool:
    return factor.numbers is not None


def _title(measure: Measure) -> str:
    unit = f" ({measure.unit})" if measure.unit else ""
    return f"{_short(measure.label)}{unit}"


def _short(text: str) -> str:
    """Plotly reads tags in texts, and a long prompt has no room."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"
    return html.escape(short, quote=False)


def _distinct(names: Sequence[str]) -> list[str]:
    """Plotly takes equal names for one place."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"t": 24, "b": 16, "l": 16, "r": 16},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        hovermode="closest",
    )
    return figure
