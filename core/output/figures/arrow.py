"""Guidance as an arrow: eps_u, eps_c and the guided prediction in the plane that they span."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

COND, UNCOND, GUIDED, PARTS = "#2f6f9f", "#6b655c", "#b5431a", "#b08a1e"


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """Places in the plane of eps_u and eps_c: first along eps_c, then across it; in RMS, so that
    a unit of noise has length 1. `parallel` and `orthogonal` are the parts of eps_c - eps_u, and
    `beside` is how far the guided prediction lies from the plane.
    """

    cond: tuple[float, float]
    uncond: tuple[float, float]
    guided: tuple[float, float]
    parallel: float
    orthogonal: float
    beside: float


def arrow(eps_uncond: np.ndarray, eps_cond: np.ndarray, eps_guided: np.ndarray) -> Arrow:
    """Raises ValueError where eps_c is zero: it has no direction."""
    root = math.sqrt(eps_cond.size)
    cond, uncond, guided = (
        array.astype(np.float64).ravel() / root for array in (eps_cond, eps_uncond, eps_guided)
    )
    length = float(np.linalg.norm(cond))
    if length == 0:
        raise ValueError("eps_c is zero")
    along = cond / length
    gap = cond - uncond
    parallel = float(gap @ along)
    rest = gap - parallel * along
    orthogonal = float(np.linalg.norm(rest))
    across = rest / orthogonal if orthogonal > 0 else rest
    place = float(guided @ along), float(guided @ across)
    return Arrow(
        cond=(length, 0.0),
        uncond=(length - parallel, -orthogonal),
        guided=place,
        parallel=parallel,
        orthogonal=orthogonal,
        beside=float(np.linalg.norm(guided - place[0] * along - place[1] * across)),
    )


def arrow_figure(found: Arrow, scale: float) -> go.Figure:
    """eps_u -> eps_c -> guided, the two parts of the gap, and the circle of eps_c's length."""
    figure = go.Figure()
    angles = np.linspace(-math.pi / 2, math.pi / 2, 181)
    radius = found.cond[0]
    figure.add_scatter(
        x=radius * np.cos(angles),
        y=radius * np.sin(angles),
        mode="lines",
        line={"color": "#9a938a", "width": 1, "dash": "dot"},
        name="as long as eps_c",
        hoverinfo="name",
    )
    corner = (found.cond[0], found.uncond[1])
    figure.add_scatter(
        x=[found.uncond[0], corner[0], found.cond[0]],
        y=[found.uncond[1], corner[1], found.cond[1]],
        mode="lines",
        line={"color": PARTS, "width": 2, "dash": "dash"},
        name="parallel, then orthogonal part",
        hoverinfo="name",
    )
    for start, end, colour in (
        (found.uncond, found.cond, COND),
        (found.cond, found.guided, GUIDED),
    ):
        figure.add_annotation(
            x=end[0],
            y=end[1],
            ax=start[0],
            ay=start[1],
            axref="x",
            ayref="y",
            xref="x",
            yref="y",
            showarrow=True,
            arrowhead=3,
            arrowwidth=2.5,
            arrowcolor=colour,
        )
    _add_ends(figure, found, scale)
    figure.update_layout(
        height=380,
        margin={"t": 16, "b": 16, "l": 16, "r": 16},
        legend={"orientation": "h", "y": -0.2},
        uirevision="arrow",
    )
    _fit_axes(figure, found)
    return figure


def _add_ends(figure: go.Figure, found: Arrow, scale: float) -> None:
    """The three predictions as named points."""
    for place, colour, name, where in (
        (found.uncond, UNCOND, "eps_u", "bottom center"),
        (found.cond, COND, "eps_c", "top left"),
        (found.guided, GUIDED, f"guided, scale {scale:g}", "top center"),
    ):
        figure.add_scatter(
            x=[place[0]],
            y=[place[1]],
            mode="markers+text",
            marker={"size": 10, "color": colour},
            text=[name],
            textposition=where,
            textfont={"color": colour},
            name=name,
            showlegend=False,
            hovertemplate=f"{name}<br>along %{{x:.3f}}<br>across %{{y:.3f}}<extra></extra>",
        )


def _fit_axes(figure: go.Figure, found: Arrow) -> None:
    """Both axes at one scale, around the three points."""
    places = (found.cond, found.uncond, found.guided)
    xs, ys = [place[0] for place in places], [place[1] for place in places]
    pad = max(max(xs) - min(xs), max(ys) - min(ys), 1e-3) * 0.25
    figure.update_xaxes(
        title="along eps_c (RMS)", range=[min(xs) - pad, max(xs) + pad], zeroline=False
    )
    figure.update_yaxes(
        title="across it (RMS)",
        range=[min(ys) - pad, max(ys) + pad],
        zeroline=False,
        scaleanchor="x",
    )
