"""Figures of variations: their tree, and how far the children lie from their parent."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

ROW = 64  # pixels
MOST_CHILDREN = 8
_LINES = ("#b5431a", "#2f6f9f", "#4f8a3c", "#8a5ba6", "#b08a1e", "#3c8a86", "#a6466f", "#6b655c")
_GREY = "#8a857e"


@dataclass(frozen=True, kw_only=True)
class TreeNode:
    """One picture of the tree. `picture` is its address (data:...), None where it was deleted."""

    digest: str
    parent: str
    label: str
    picture: str | None
    is_here: bool = False


@dataclass(frozen=True, kw_only=True)
class _Placed:
    node: TreeNode
    depth: int
    row: float
    more: int


def genealogy_figure(nodes: Sequence[TreeNode]) -> go.Figure:
    """The tree from left to right, the first parent being the first point; its customdata are the
    digests. Of many children those are left out that have none themselves, and counted.
    """
    placed = _place(nodes)
    at = {one.node.digest: one for one in placed}
    figure = go.Figure()
    for one in placed:
        _add_cell(figure, one, at.get(one.node.parent))
    figure.add_scatter(
        x=[one.depth for one in placed],
        y=[one.row for one in placed],
        mode="markers+text",
        marker={
            "size": [ROW + 8 if one.node.is_here else ROW - 8 for one in placed],
            "symbol": "square",
            "opacity": [1.0 if one.node.is_here else 0.25 for one in placed],
            "color": [_LINES[0] if one.node.is_here else _GREY for one in placed],
        },
        text=[_label(one) for one in placed],
        textposition="bottom center",
        textfont={"size": 11},
        customdata=[one.node.digest for one in placed],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        name="",
    )
    rows = max((one.row for one in placed), default=0) + 1
    depth = max((one.depth for one in placed), default=0)
    hidden = {"visible": False, "fixedrange": True}
    figure.update_xaxes(range=[-0.5, max(depth, 3) + 0.5], **hidden)
    figure.update_yaxes(range=[rows - 0.3, -0.6], **hidden)
    figure.update_layout(
        height=round(40 + (ROW + 22) * rows),
        margin={"t": 4, "b": 4, "l": 4, "r": 4},
        dragmode=False,
        clickmode="event+select",
    )
    return figure


def _add_cell(figure: go.Figure, one: _Placed, parent: _Placed | None) -> None:
    """A picture, and the line that leads to it from its parent."""
    if parent is not None:
        middle = one.depth - 0.5
        figure.add_scatter(
            x=[parent.depth + 0.2, middle, middle, one.depth - 0.2],
            y=[parent.row, parent.row, one.row, one.row],
            mode="lines",
            line={"color": _GREY, "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    if one.node.picture is not None:
        figure.add_layout_image(
            source=one.node.picture,
            xref="x",
            yref="y",
            x=one.depth,
            y=one.row,
            sizex=0.9,
            sizey=0.72,
            xanchor="center",
            yanchor="middle",
            sizing="contain",
            layer="above",
        )


def _label(one: _Placed) -> str:
    label = html.escape(one.node.label, quote=False)
    label = f"<b>{label}</b>" if one.node.is_here else label
    if one.node.picture is None:
        label += " (deleted)"
    return f"{label} +{one.more}" if one.more else label


def _place(nodes: Sequence[TreeNode]) -> list[_Placed]:
    """Leaves one below another, each parent at the middle of its children."""
    children: dict[str, list[TreeNode]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node)
    known = {node.digest for node in nodes}
    placed: list[_Placed] = []
    next_row = 0

    def visit(node: TreeNode, depth: int) -> float:
        nonlocal next_row
        kept, more = _few(children.get(node.digest, []), children)
        rows = [visit(child, depth + 1) for child in kept]
        if rows:
            row = (rows[0] + rows[-1]) / 2
        else:
            row = float(next_row)
            next_row += 1
        placed.append(_Placed(node=node, depth=depth, row=row, more=more))
        return row

    for node in nodes:
        if node.parent not in known:
            visit(node, 0)
    return sorted(placed, key=lambda one: (one.depth, one.row))


def _few(
    children: Sequence[TreeNode], grandchildren: Mapping[str, Sequence[TreeNode]]
) -> tuple[list[TreeNode], int]:
    """The children to draw, in their order, and how many are left out."""
    kept = [one for one in children if one.is_here or one.digest in grandchildren]
    others = [one for one in children if one not in kept]
    kept += others[: max(0, MOST_CHILDREN - len(kept))]
    return [one for one in children if one in kept], len(children) - len(kept)


def distance_figure(
    lines: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str
) -> go.Figure:
    """Points (x, y) of each line, in the order given; a line of one point is a dot."""
    figure = go.Figure()
    for index, (name, points) in enumerate(lines.items()):
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="lines+markers" if len(points) > 1 else "markers",
            name=html.escape(name, quote=False),
            line={"color": _LINES[index % len(_LINES)], "width": 2},
            marker={"size": 8, "symbol": index % 8},
        )
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    figure.update_layout(
        height=280,
        margin={"t": 16, "b": 16, "l": 16, "r": 16},
        showlegend=1 < len(lines) <= 12,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02},
        hovermode="closest",
    )
    return figure
