"""Plotly figures of the recorded quantities over a run, many runs in one figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.diffusion.recipe.prompt.texts import switches
from core.diffusion.trajectory import StepRecord
from core.output.figures.figures import LINE_COLOURS
from core.output.figures.step_figure_rows import (
    ALONG,
    STEP_FIGURES,
    Along,
    Line,
    StepFigure,
    drawable,
)
from core.output.figures.step_runs import (
    SCALE,
    Colouring,
    Run,
    escaped,
    labels,
    mark_switches,
)

NO_GUIDANCE = "Guidance is off here: there is one prediction, and nothing to compare it with"
SAME_PREDICTIONS = (
    "The two predictions are the same: there is nothing above 0 for a logarithmic axis"
)
NOT_RECORDED = "The version that computed this did not record it: compute it again"
HEIGHT = 250
_GREY = "#8b847a"
_MOST_NAMED = 8  # colours up to which a figure names them


def step_figure(
    runs: Sequence[Run],
    name: str,
    along: str,
    colouring: Colouring,
    *,
    focus: int = 0,
    channel: int | None = None,
    channel_square: float | None = None,
    names_runs: bool = True,
) -> go.Figure:
    """The figure `name` of STEP_FIGURES over the axis `along` of ALONG.

    `focus` is the run in view: "channels" draws it alone, and the analytic curve is its own.
    `channel` draws one channel's RMS in "latent_rms", with the analytic curve where
    `channel_square` says the mean square of the data in it. Without `names_runs` the page names
    the runs once for all its figures. What a record lacks is a gap, never zero. Every point
    carries (run, step from 1, timestep, sigma) as its `customdata`.
    """
    row, axis, names = STEP_FIGURES[name], ALONG[along], labels(runs)
    if name == "channels":
        traces = _channel_lines(runs[focus], focus, axis)
    else:
        lines = row.lines
        if name == "latent_rms" and channel is not None:
            lines = (Line(of=lambda record: channel_rms(record, channel)),)
        traces = [
            _line(run, index, line, axis, colouring, names[index], row.is_log)
            for index, run in enumerate(runs)
            for line in lines
        ]
        square = data_mean_square(runs[focus]) if channel is None else channel_square
        if name == "latent_rms" and square is not None:
            traces.append(_analytic(runs[focus], axis, square))
    is_empty = all(value is None for trace in traces for value in trace.y or ())
    figure = go.Figure(traces)
    _lay_out(figure, row, axis, why_empty=_why_empty(runs, row) if is_empty else "")
    if not is_empty:
        mark_switches(figure, _switches(runs[focus], axis))
    if name != "channels" and not is_empty:
        _name_runs(figure, colouring, here=names_runs)
    # Names lie beneath, about two in a row where two figures stand side by side.
    drawn: tuple[Any, ...] = figure.data  # pyright: ignore[reportAssignmentType]
    named = sum(trace.showlegend is not False for trace in drawn)
    figure.update_layout(height=HEIGHT + (0 if is_empty else 20 * -(-named // 2)))
    return figure


def _switches(run: Run, axis: Along) -> dict[float, str]:
    """Where the prompt of a run is another from there on, along an axis."""
    found = switches(run.settings, len(run.records))
    places = {call: axis.place(run.records[call]) for call in found}
    return {place: found[call] for call, place in places.items() if place is not None}


def data_mean_square(run: Run) -> float | None:
    """v of the analytic curve: the mean square of the run's last predicted x0, an estimate of
    the data's from this one picture; None where that was not recorded.
    """
    x0_rms = run.records[-1].x0_rms
    return None if x0_rms is None else x0_rms**2


def analytic_rms(sigma: float, mean_square: float) -> float:
    """sqrt(abar v + 1 - abar) with abar = 1 / (1 + sigma^2): the RMS of sqrt(abar) x0 +
    sqrt(1 - abar) eps for x0 of mean square v and independent unit noise (Ho et al. 2020, eq. 4).
    """
    abar = 1 / (1 + sigma**2)
    return math.sqrt(abar * mean_square + 1 - abar)


def channel_rms(record: StepRecord, channel: int) -> float | None:
    """RMS of one channel in x_VP, from its mean and standard deviation; None beyond the last."""
    mean, std = (
        _of_channel(values, channel) for values in (record.channel_mean, record.channel_std)
    )
    return None if mean is None or std is None else math.hypot(mean, std)


def _of_channel(values: Sequence[float], channel: int) -> float | None:
    return values[channel] if channel < len(values) else None


def _line(
    run: Run, index: int, line: Line, axis: Along, colouring: Colouring, label: str, is_log: bool
) -> go.Scatter:
    return go.Scatter(
        x=[axis.place(record) for record in run.records],
        y=[drawable(line.of(record), is_log) for record in run.records],
        name=escaped(colouring.names[index] or label),
        legendgroup=colouring.names[index],
        showlegend=line.dash is None and colouring.names.index(colouring.names[index]) == index,
        meta={"run": index, "line": line.name},
        line={
            "color": colouring.colours[index],
            "dash": line.dash or colouring.dashes[index],
            "width": 2,
        },
        **_points(run, index, f"{escaped(label)} {line.name}".strip()),
    )


def _points(run: Run, index: int, label: str) -> dict[str, Any]:
    """How the points of a run look, and what they say under the mouse."""
    return {
        "mode": "lines+markers" if len(run.records) <= 60 else "lines",
        "marker": {"size": 4},
        "connectgaps": False,
        "customdata": [
            [index, record.step_index + 1, record.timestep, record.sigma] for record in run.records
        ],
        "hovertemplate": f"{label}<br>step %{{customdata[1]}} · timestep %{{customdata[2]:.4g}} · "
        "σ %{customdata[3]:.3g}<br><b>%{y:.4g}</b><extra></extra>",
    }


def _channel_lines(run: Run, index: int, axis: Along) -> list[go.Scatter]:
    """Standard deviation (solid) and mean (dotted) of every channel, a colour a channel."""
    lines: list[go.Scatter] = []
    for channel in range(len(run.records[0].channel_mean)):
        for what, dash in (("std", "solid"), ("mean", "dot")):
            lines.append(
                go.Scatter(
                    x=[axis.place(record) for record in run.records],
                    y=[
                        _of_channel(getattr(record, f"channel_{what}"), channel)
                        for record in run.records
                    ],
                    name=f"Channel {channel + 1}",
                    legendgroup=str(channel),
                    showlegend=what == "std",
                    meta={"run": index, "line": f"channel {channel + 1} {what}"},
                    line={
                        "color": LINE_COLOURS[channel % len(LINE_COLOURS)],
                        "dash": dash,
                        "width": 2,
                    },
                    **_points(run, index, f"Channel {channel + 1}, {what}"),
                )
            )
    return lines


def _analytic(run: Run, axis: Along, mean_square: float) -> go.Scatter:
    return go.Scatter(
        x=[axis.place(record) for record in run.records],
        y=[analytic_rms(record.sigma, mean_square) for record in run.records],
        mode="lines",
        name=f"√(ᾱv + 1 − ᾱ), v = {mean_square:.3g}",
        line={"color": _GREY, "dash": "dash", "width": 2},
        hoverinfo="skip",
    )


def _why_empty(runs: Sequence[Run], row: StepFigure) -> str:
    if not row.needs_guidance:
        return "Nothing here"
    records = [record for run in runs for record in run.records]
    if any(line.of(record) is not None for line in row.lines for record in records):
        return SAME_PREDICTIONS
    return NOT_RECORDED if any(run.settings.uses_guidance for run in runs) else NO_GUIDANCE


def _lay_out(figure: go.Figure, row: StepFigure, axis: Along, *, why_empty: str) -> None:
    figure.update_layout(
        margin={"t": 12, "b": 8, "l": 8, "r": 8},
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "top", "y": -0.28, "x": 0, "font": {"size": 11}},
        showlegend=True,
        dragmode="zoom",
    )
    figure.update_xaxes(
        title={"text": axis.label, "standoff": 6},
        type="log" if axis.is_log else "linear",
        autorange="reversed" if axis.is_falling else True,
        showgrid=False,
        exponentformat="power",
        dtick=1 if axis.is_log else None,
    )
    figure.update_yaxes(
        title={"text": row.axis, "standoff": 6},
        type="log" if row.is_log else "linear",
        exponentformat="power",
        dtick=1 if row.is_log else None,
        nticks=6,
    )
    if why_empty:
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
        figure.update_layout(showlegend=False)
        figure.add_annotation(
            text=why_empty.replace(": ", ":<br>", 1),
            xref="paper",
            yref="paper",
            x=0.5,
            y=0.5,
            showarrow=False,
        )


def _name_runs(figure: go.Figure, colouring: Colouring, *, here: bool) -> None:
    """A scale beside the figure for numbers, else names beneath it while there are few."""
    count = len(set(colouring.names))
    if here and colouring.low is not None:
        figure.update_traces(showlegend=False, selector=_is_of_a_run)
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                showlegend=False,
                hoverinfo="skip",
                marker={
                    "color": [colouring.low],
                    "colorscale": SCALE,
                    "cmin": colouring.low,
                    "cmax": colouring.high,
                    "showscale": True,
                    "colorbar": {
                        "title": {"text": colouring.title, "side": "right"},
                        "thickness": 8,
                        "outlinewidth": 0,
                        "nticks": 5,
                    },
                },
            )
        )
    elif not here or not 1 < count <= _MOST_NAMED:
        figure.update_traces(showlegend=False, selector=_is_of_a_run)


def _is_of_a_run(trace: Any) -> bool:
    return trace.meta is not None
