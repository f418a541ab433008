"""A figure of distances to the picture of the most steps, over steps: log-log, a line a row."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go

from core.output.figures.figures import LINE_COLOURS
from core.output.numbers.convergence import Line

CONVERGENCE = "convergence"
"""The figure's name, by which the glossary has its words."""


def convergence_figure(lines: Sequence[Line], measure: str) -> go.Figure:
    """Distances above 0 as points; the fitted order, where there is one, stands in the legend."""
    figure = go.Figure()
    for index, line in enumerate(lines):
        points = [(n, d) for n, d in zip(line.steps, line.distances, strict=True) if d > 0]
        figure.add_scatter(
            x=[n for n, _ in points],
            y=[d for _, d in points],
            name=html.escape(legend(line), quote=False),
            showlegend=True,
            mode="lines+markers",
            line={
                "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                "width": 2,
                "dash": "dot" if line.draws_noise else "solid",
            },
            marker={"size": 8, "symbol": index % 8},
            hovertemplate="%{x} steps<br>%{y:.3g}<extra>%{fullData.name}</extra>",
        )
    ticks = sorted({n for line in lines for n in line.steps})
    figure.update_xaxes(title="Steps", type="log", tickvals=ticks, ticktext=[str(n) for n in ticks])
    figure.update_yaxes(title=measure, type="log", exponentformat="power", dtick=1)
    figure.update_layout(
        height=400,
        margin={"t": 24, "b": 16, "l": 16, "r": 16},
        hovermode="closest",
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    return figure


def legend(line: Line) -> str:
    """ "Euler: order 1.0"."""
    if line.draws_noise:
        said = "fresh noise, no order"
    else:
        said = f"order {line.order:.1f}" if line.order is not None else "no order"
    return f"{line.label}: {said}" if line.label else said
