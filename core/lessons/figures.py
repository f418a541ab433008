"""FIGURES: what a reveal draws of what was measured, a row each."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

import plotly.graph_objects as go

from core.lessons.lesson import PLACES, SIDE
from core.lessons.measured import Measured
from core.output.figures.convergence_figure import convergence_figure
from core.output.figures.figures import LINE_COLOURS

HEIGHT = 320


def bars(measured: Measured) -> go.Figure:
    """A bar for each candidate, with its number."""
    figure = go.Figure(
        go.Bar(
            x=[_plain(one) for one in measured.candidates],
            y=measured.values,
            text=[f"{value:.{measured.digits}f}" for value in measured.values],
            textposition="outside",
            cliponaxis=False,
            marker_color=LINE_COLOURS[0],
            hovertemplate="%{x}<br>%{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category")
    return _laid_out(figure, measured)


def line(measured: Measured) -> go.Figure:
    """A line over the values of the axis, at their true distances on a logarithmic axis; bars where
    they are no positive numbers.
    """
    numbers = measured.numbers
    if numbers is None or min(numbers) <= 0:
        return bars(measured)
    figure = go.Figure(
        go.Scatter(
            x=list(numbers),
            y=list(measured.values),
            mode="lines+markers",
            line={"color": LINE_COLOURS[0], "width": 2},
            marker={"size": 8},
            hovertemplate="%{x:g}<br>%{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(
        type="log", tickvals=list(numbers), ticktext=[f"{number:g}" for number in numbers]
    )
    return _laid_out(figure, measured)


def places(measured: Measured) -> go.Figure:
    """The nine places of a picture as a heat map; bars of anything else."""
    if len(measured.values) != len(PLACES):
        return bars(measured)
    rows = [measured.values[n * SIDE : (n + 1) * SIDE] for n in range(SIDE)]
    names = [measured.candidates[n * SIDE : (n + 1) * SIDE] for n in range(SIDE)]
    figure = go.Figure(
        go.Heatmap(
            z=rows,
            customdata=names,
            colorscale=[[0.0, "#f7e7de"], [0.5, "#d9794f"], [1.0, "#6b2209"]],
            texttemplate="%{z:.0f}",
            xgap=2,
            ygap=2,
            colorbar={"title": measured.label},
            hovertemplate="%{customdata}<br>%{z:.3g}<extra></extra>",
        )
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")
    return _laid_out(figure, measured)


def convergence(measured: Measured) -> go.Figure:
    """Distances over steps, with the fitted orders; bars where no lines were measured."""
    if not measured.lines:
        return bars(measured)
    return convergence_figure(measured.lines, measured.label)


FIGURES: Mapping[str, Callable[[Measured], go.Figure]] = {
    "bars": bars,
    "line": line,
    "places": places,
    "convergence": convergence,
}


def _laid_out(figure: go.Figure, measured: Measured) -> go.Figure:
    figure.update_yaxes(title=_plain(measured.label))
    figure.update_layout(
        height=HEIGHT,
        margin={"t": 28, "b": 16, "l": 16, "r": 16},
        showlegend=False,
        hovermode="closest",
    )
    return figure


def _plain(text: str) -> str:
    return html.escape(text, quote=False)
