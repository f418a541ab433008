"""FILES: what is found in a grid, as files. A new kind is a row here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.exports.effects.page import effects_page
from core.output.effects.result import Effects
from core.output.numbers.spreadsheet import LINE_END, defused, encoded


@dataclass(frozen=True, kw_only=True)
class EffectsFile:
    """A kind of file; `suffix` is what the command line takes."""

    label: str
    suffix: str
    mime: str
    help: str
    write: Callable[[Effects], bytes]


def differences_csv(effects: Effects) -> bytes:
    """A row for each difference: axis, measure, from, to, difference, low, high, agree, seeds and
    what they rest on. As write_csv of a sweep: for spreadsheets, numbers in full precision.
    """
    return _csv(effects.to_dict()["effects"])


def shares_csv(effects: Effects) -> bytes:
    """A row for each share of the variance, by measure and axis."""
    return _csv(effects.to_dict()["shares"])


def effects_json(effects: Effects) -> bytes:
    """All of it, as `Effects.to_dict` has it."""
    text = json.dumps(effects.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode()


def differences_parquet(effects: Effects) -> bytes:
    """The rows of `differences_csv` with their types."""
    # A second to import, and only this needs it.
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(effects.to_dict()["effects"]).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.StringIO()
    if rows:
        writer = csv.writer(buffer, lineterminator=LINE_END)
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow("" if one is None else defused(one) for one in row.values())
    return encoded(buffer.getvalue())


FILES: Mapping[str, EffectsFile] = {
    row.suffix: row
    for row in (
        EffectsFile(
            label="Differences (CSV)",
            suffix=".csv",
            mime="text/csv",
            help="A row for each difference, with its interval.",
            write=differences_csv,
        ),
        EffectsFile(
            label="Differences (Parquet)",
            suffix=".parquet",
            mime="application/vnd.apache.parquet",
            help="For pandas, R and DuckDB: numbers with their types.",
            write=differences_parquet,
        ),
        EffectsFile(
            label="Shares (CSV)",
            suffix=".shares.csv",
            mime="text/csv",
            help="A row for each share of the variance.",
            write=shares_csv,
        ),
        EffectsFile(
            label="JSON",
            suffix=".json",
            mime="application/json",
            help="Everything, as the command line prints it.",
            write=effects_json,
        ),
        EffectsFile(
            label="Web page",
            suffix=".html",
            mime="text/html",
            help="Sentences, figures and methods; works offline.",
            write=effects_page,
        ),
    )
}


def file_of(name: str) -> EffectsFile | None:
    """The row whose suffix a file's name ends with, the longest; None for another ending."""
    found = [row for row in FILES.values() if name.lower().endswith(row.suffix)]
    return max(found, key=lambda row: len(row.suffix), default=None)
