"""Every recorded number of some runs as one table, and a figure as a page of its own."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.output.figures.step_figures import StepFigure
from core.output.figures.step_runs import Run, labels
from core.output.numbers.spreadsheet import LINE_END, defused, encoded

if TYPE_CHECKING:
    import pandas

_CHANNELS = ("channel_mean", "channel_std")


def step_table(runs: Sequence[Run]) -> pandas.DataFrame:
    """A row a recorded step: the run's label and digest, every field of StepRecord (channels
    counted from 0, `channel_mean_0`), then every setting of the run as `settings_<name>`.

    What was not measured (the guidance quantities without guidance, a first step's settling) is
    missing, never zero.
    """
    import pandas

    plain = [field.name for field in fields(StepRecord) if field.name not in _CHANNELS]
    settings = [field.name for field in fields(GenerationSettings)]
    counts = [len(record.channel_mean) for run in runs for record in run.records]
    rows: list[dict[str, Any]] = []
    for label, run in zip(labels(runs), runs, strict=True):
        of_run = {f"settings_{name}": _plain(getattr(run.settings, name)) for name in settings}
        for record in run.records:
            row: dict[str, Any] = {"run": label, "digest": run.digest}
            row |= {name: getattr(record, name) for name in plain}
            for name in _CHANNELS:
                values = getattr(record, name)
                for channel in range(max(counts)):
                    inside = channel < len(values)
                    row[f"{name}_{channel}"] = values[channel] if inside else None
            rows.append(row | of_run)
    table = pandas.DataFrame(rows)
    # A column without a single value (guidance off in every run) is of numbers all the same.
    empty = [name for name in plain if all(row[name] is None for row in rows)]
    return table.astype(dict.fromkeys(empty, "float64"))


def write_step_csv(runs: Sequence[Run]) -> bytes:
    """The table as CSV, full precision; UTF-8 with a byte order mark, which spreadsheets need.

    A text that a spreadsheet would take for a formula gets a leading quote.
    """
    return _csv(step_table(runs))


def write_rows_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows of one form as CSV, written as `write_step_csv` writes."""
    import pandas

    return _csv(pandas.DataFrame(list(rows)))


def write_step_parquet(runs: Sequence[Run]) -> bytes:
    """The table as a Parquet file, for pandas.read_parquet and its like."""
    buffer = io.BytesIO()
    step_table(runs).to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def write_figure_page(figure: go.Figure, row: StepFigure) -> bytes:
    """The figure with its title and its sentence as one HTML file that works offline."""
    whole = go.Figure(figure)
    whole.update_layout(template="plotly_white", height=520, showlegend=True)
    drawn = whole.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    title, look = html.escape(row.title), html.escape(row.look)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{title}</title><style>body {{ font-family: sans-serif; max-width: 60rem; "
        "margin: 2rem auto; padding: 0 1rem; color: #211e1b }</style></head>\n"
        f"<body><h1>{title}</h1><p>{look}</p>\n{drawn}\n</body>\n</html>\n"
    ).encode()


def _csv(table: pandas.DataFrame) -> bytes:
    safe = table.map(defused).rename(columns=defused)
    return encoded(safe.to_csv(index=False, lineterminator=LINE_END))


def _plain(value: Any) -> Any:
    """A setting as one cell of a table can hold it."""
    return value if isinstance(value, str | int | float) else str(value)
