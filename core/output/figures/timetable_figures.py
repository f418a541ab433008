"""Figures and a table of the calls that schedulers make: where they lie, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.diffusion.sampling.timetable import Call, Timetable
from core.output.figures.figures import LINE_COLOURS
from core.output.figures.step_figure_rows import ALONG, Along
from core.output.figures.step_runs import DASHES

KIND_NAMES: Mapping[str, str] = {
    "step": "a step",
    "second": "second call of a step (Heun, DPM2)",
    "again": "first transition again (PNDM)",
}
_SYMBOLS = {"step": "circle", "second": "diamond-open", "again": "square-open"}


@dataclass(frozen=True, kw_only=True)
class LabFigure:
    """A figure's title and its one sentence."""

    name: str
    title: str
    look: str


PLACES = LabFigure(
    name="places",
    title="Where the calls lie",
    look="Every mark is one UNet call: steps that are even over the timestep leave low noise "
    "nearly bare over log-SNR, Karras' levels fill that gap (Karras et al. 2022, eq. 5), and "
    "leading spacing, where it counts, begins below the last timestep (Lin et al. 2023, table 2).",
)
ORDER = LabFigure(
    name="order",
    title="Call by call",
    look="A flat piece is a noise level that is visited twice: Heun evaluates the end of its step "
    "and then begins the next one there (Karras et al. 2022, alg. 1), DPM2 a has its midpoint "
    "there (√(σ · σ_down) with k-diffusion's σ_down = σ_to² / σ), PNDM begins its second step "
    "again (diffusers' PNDMScheduler.step_plms).",
)


def places_figure(tables: Sequence[Timetable], measure: str) -> go.Figure:
    """A row a timetable, a mark a call, at the timestep, sigma or log-SNR that `measure` names."""
    axis, figure = ALONG[measure], go.Figure()
    for index, table in enumerate(tables):
        colour, _ = _look(index)
        figure.add_trace(
            go.Scatter(
                x=[_value(call, axis) for call in table.calls],
                y=[table.label] * len(table.calls),
                mode="markers",
                marker={
                    "symbol": [_SYMBOLS[call.kind] for call in table.calls],
                    "size": [7 if call.kind == "step" else 12 for call in table.calls],
                    "color": colour,
                    "line": {"color": colour, "width": 1.5},
                },
                **_hover(table),
            )
        )
    figure.update_xaxes(**_axis(axis))
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        categoryorder="array",
        categoryarray=[table.label for table in tables],
    )
    _lay_out(figure, height=110 + 30 * len(tables))
    return figure


def order_figure(tables: Sequence[Timetable], measure: str) -> go.Figure:
    """`measure` over the number of the call, a line a timetable."""
    axis, figure = ALONG[measure], go.Figure()
    for index, table in enumerate(tables):
        colour, dash = _look(index)
        figure.add_trace(
            go.Scatter(
                x=[call.index + 1 for call in table.calls],
                y=[_value(call, axis) for call in table.calls],
                name=table.label,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={
                    "symbol": [_SYMBOLS[call.kind] for call in table.calls],
                    "size": [5 if call.kind == "step" else 9 for call in table.calls],
                },
                **_hover(table),
            )
        )
    figure.update_xaxes(title={"text": "UNet call", "standoff": 6}, showgrid=False)
    vertical = _axis(axis)
    vertical.pop("autorange")  # noise falls downward here
    figure.update_yaxes(**vertical)
    _lay_out(figure, height=340 + 20 * -(-len(tables) // 3))
    figure.update_layout(
        showlegend=len(tables) > 1, legend={"orientation": "h", "y": -0.22, "yanchor": "top"}
    )
    return figure


def call_table(tables: Sequence[Timetable]) -> list[dict[str, Any]]:
    """A row a call, of all timetables."""
    return [
        {
            "timetable": table.label,
            "scheduler": table.scheduler,
            "steps": table.steps,
            "call": call.index + 1,
            "kind": KIND_NAMES[call.kind],
            "timestep": call.timestep,
            "sigma": call.sigma,
            "log_snr": call.log_snr,
        }
        for table in tables
        for call in table.calls
    ]


def summary_table(tables: Sequence[Timetable]) -> list[dict[str, Any]]:
    """A row a timetable: its calls, the noise they begin and end with, and how many are low."""
    return [
        {
            "Timetable": table.label,
            "UNet calls": len(table.calls),
            "Extra calls": sum(call.kind != "step" for call in table.calls),
            "First timestep": table.calls[0].timestep,
            "First sigma": table.calls[0].sigma,
            "Last sigma": table.calls[-1].sigma,
            "Calls below sigma 1": sum(call.sigma < 1 for call in table.calls),
        }
        for table in tables
        if table.calls
    ]


def _value(call: Call, axis: Along) -> float | None:
    value = {"timestep": call.timestep, "sigma": call.sigma, "log_snr": call.log_snr}[axis.name]
    return None if axis.is_log and value <= 0 else value


def _hover(table: Timetable) -> dict[str, Any]:
    return {
        "customdata": [
            [call.index + 1, call.timestep, call.sigma, call.log_snr, KIND_NAMES[call.kind]]
            for call in table.calls
        ],
        "hovertemplate": f"{table.label}<br>call %{{customdata[0]}}: %{{customdata[4]}}<br>"
        "timestep %{customdata[1]:.5g} · σ %{customdata[2]:.4g} · "
        "log-SNR %{customdata[3]:.3g}<extra></extra>",
    }


def _axis(axis: Along) -> dict[str, Any]:
    return {
        "title": {"text": axis.label, "standoff": 6},
        "type": "log" if axis.is_log else "linear",
        "autorange": "reversed" if axis.is_falling else True,
        "dtick": 1 if axis.is_log else None,
        "exponentformat": "power",
    }


def _look(index: int) -> tuple[str, str]:
    turn, place = divmod(index, len(LINE_COLOURS))
    return LINE_COLOURS[place], DASHES[turn % len(DASHES)]


def _lay_out(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"t": 12, "b": 8, "l": 8, "r": 8},
        hovermode="closest",
        showlegend=False,
    )
