"""The small plot under a film: a quantity of each frame, and where the film stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from core.output.figures.step_runs import escaped, mark_switches

_PAIR = ("#b5431a", "#2f6f9f")
_MANY = [[0.0, "#2f6f9f"], [0.5, "#b08a1e"], [1.0, "#b5431a"]]
_CURSOR = "#8a847b"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A name and a value a frame; None where there is none (a finished run)."""

    name: str
    values: Sequence[float | None]


def norm_figure(
    curves: Sequence[Curve], frame: int, title: str, switches: Mapping[float, str] | None = None
) -> go.Figure:
    """The curves over the frames, counted from 1, with a vertical line at `frame`, and one where
    the prompt is another from there on (`switches`: its text by the frame).
    """
    count = len(curves)
    colors = list(_PAIR[:count])
    if count > len(_PAIR):
        colors = sample_colorscale(_MANY, [i / (count - 1) for i in range(count)])
    figure = go.Figure(
        [
            go.Scatter(
                x=list(range(1, len(curve.values) + 1)),
                y=list(curve.values),
                name=escaped(curve.name),
                mode="lines",
                line={"color": color, "width": 2 if count <= len(_PAIR) else 1.5},
                hovertemplate="Frame %{x}<br>%{y:.3f}<extra>%{fullData.name}</extra>",
            )
            for curve, color in zip(curves, colors, strict=True)
        ]
    )
    mark_switches(figure, switches or {})
    figure.add_vline(x=frame, line={"color": _CURSOR, "width": 2, "dash": "dot"})
    longest = max((len(curve.values) for curve in curves), default=1)
    figure.update_xaxes(title="Frame", range=[0.5, longest + 0.5])
    figure.update_yaxes(title=title)
    figure.update_layout(
        height=260,
        margin={"t": 8, "b": 8, "l": 8, "r": 8},
        showlegend=1 < count <= len(_PAIR),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure
