"""Plotly figures of a sweep's numbers over its axes: a heat map of two, a line of one."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from core.output.numbers.cell_numbers import CellNumbers
from core.output.numbers.quantities import QUANTITIES, Quantity
from core.output.texts.legend import value_labels
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep

FigureKind = Literal["auto", "lines", "heat map"]

# One hue from light to dark: readable in grey, and by people who see few colours.
_SCALE = [[0.0, "#f7e7de"], [0.5, "#d9794f"], [1.0, "#6b2209"]]
LINE_COLOURS = (
    "#b5431a",
    "#2f6f9f",
    "#4f8a3c",
    "#8a5ba6",
    "#b08a1e",
    "#3c8a86",
    "#a6466f",
    "#6b655c",
)
_LONGEST = 40  # letters of a label
_MOST_WRITTEN = 14  # columns up to which a cell has room for its number


def axis_figure(
    sweep: Sweep, found: Sequence[CellNumbers], name: str, z: int = 0, kind: FigureKind = "auto"
) -> go.Figure:
    """A quantity over the axes of page `z`. Cells that lack it are gaps, never zeros.

    "auto" is a heat map where there are columns and rows; "lines" draws a line a row instead.
    Along a line, numbers stand at their true distances; names and linked axes evenly.
    """
    quantity = QUANTITIES[name]
    columns, rows, _ = sweep.shape()
    at = {(cell.x, cell.y): cell.value(name) for cell in found if cell.z == z}
    values = [[at.get((x, y)) for x in range(columns)] for y in range(rows)]
    if sweep.x is not None and sweep.y is not None and kind != "lines":
        figure = go.Figure(_heat_map(sweep.x, sweep.y, values, quantity))
        figure.update_xaxes(title=sweep.x.label(), type="category", showgrid=False)
        figure.update_yaxes(title=sweep.y.label(), type="category", autorange="reversed")
        figure.update_yaxes(showgrid=False)
        height = 140 + max(34 * rows, 160)
    else:
        figure = go.Figure(_lines(sweep, values, quantity))
        axis = sweep.x or sweep.y
        figure.update_xaxes(title=axis.label() if axis else "")
        if axis is not None and _positions(axis) is None:
            figure.update_xaxes(type="category")
        figure.update_yaxes(title=quantity.label)
        height = 360
    figure.update_layout(
        height=height,
        margin={"t": 24, "b": 16, "l": 16, "r": 16},
        legend_title_text=sweep.y.label() if sweep.x and sweep.y else None,
        hovermode="closest",
    )
    return figure


def _heat_map(x: Axis, y: Axis, values: list[list[float | None]], quantity: Quantity) -> go.Heatmap:
    texts = [[quantity.show(value) for value in row] for row in values]
    return go.Heatmap(
        x=_places(value_labels(x)),
        y=_places(value_labels(y)),
        z=values,
        text=texts,
        texttemplate="%{text}" if len(values[0]) <= _MOST_WRITTEN else None,
        colorscale=_SCALE,
        colorbar={"title": {"text": quantity.label}, "thickness": 12},
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate=f"{x.label()} %{{x}}<br>{y.label()} %{{y}}<br>{quantity.label} %{{text}}"
        "<extra></extra>",
    )


def _lines(sweep: Sweep, values: list[list[float | None]], quantity: Quantity) -> list[Any]:
    """A line a row; of a sweep with rows alone, one line over the rows."""
    axis = sweep.x or sweep.y
    if sweep.x is None:
        values = [[row[0] for row in values]]
    names = _places(value_labels(sweep.y)) if sweep.x is not None else [""]
    labels = _places(value_labels(axis))
    along = (_positions(axis) if axis else None) or labels
    hover = f"%{{x}}<br>{quantity.label} %{{text}}<extra>%{{fullData.name}}</extra>"
    order = sorted(range(len(along)), key=along.__getitem__) if along is not labels else None
    lines: list[Any] = []
    for index, (name, row) in enumerate(zip(names, values, strict=True)):
        points = order if order is not None else range(len(row))
        lines.append(
            go.Scatter(
                x=[along[i] for i in points],
                y=[row[i] for i in points],
                text=[quantity.show(row[i]) for i in points],
                mode="lines+markers",
                name=name,
                showlegend=len(values) > 1,
                connectgaps=False,
                line={"color": LINE_COLOURS[index % len(LINE_COLOURS)], "width": 2},
                marker={"size": 8, "symbol": index % 8},
                hovertemplate=hover,
            )
        )
    return lines


def _positions(axis: Axis) -> list[float] | None:
    """The values as numbers; None for names, linked axes, and seeds, which have no distance."""
    if axis.linked is not None or axis.name in ("seed", "variation_seed"):
        return None
    values = axis.values
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return None
    return [float(value) for value in values]


def _places(labels: list[str]) -> list[str]:
    """Labels as places on an axis: Plotly reads tags in them and takes equal names for one place,
    and linked values may repeat. A long prompt is shortened: it has its whole text in the grid.
    """
    seen: dict[str, int] = {}
    found: list[str] = []
    for label in labels:
        short = label if len(label) <= _LONGEST else label[: _LONGEST - 1].rstrip() + "…"
        seen[short] = seen.get(short, 0) + 1
        escaped = html.escape(short, quote=False)
        found.append(escaped if seen[short] == 1 else f"{escaped} ({seen[short]})")
    return found
