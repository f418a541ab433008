"""What a sweep is exported as: its numbers as CSV, its cells as a ZIP, and a page to look at."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from core.diffusion.settings import GenerationSettings
from core.exports.files import add_file, cell_name, stored_bytes
from core.exports.webpage import INLINE_LIMIT, inlined_size, write_html, write_html_zip
from core.output.numbers.cell_numbers import (
    CellNumbers,
    Means,
    Place,
    ReportCell,
    means,
    numbers,
)
from core.output.numbers.quantities import QUANTITIES, Quantity
from core.output.numbers.spreadsheet import LINE_END, defused, encoded
from core.sweeps.sweep import Sweep

__all__ = [
    "INLINE_LIMIT",
    "QUANTITIES",
    "CellNumbers",
    "Means",
    "Place",
    "Quantity",
    "ReportCell",
    "cell_name",
    "inlined_size",
    "means",
    "numbers",
    "write_csv",
    "write_html",
    "write_html_zip",
    "write_zip",
]


def write_csv(
    sweep: Sweep, cells: Sequence[ReportCell], found: Iterable[CellNumbers] = ()
) -> bytes:
    """A row a cell: its place, its axes' values, the words that were drawn for it where any were,
    its numbers and all its settings.

    UTF-8 with a byte order mark, which spreadsheets need. A text that a spreadsheet would take
    for a formula gets a leading quote; numbers are numbers, full precision.
    """
    measured = {(cell.x, cell.y, cell.z): cell for cell in found}
    settings = [field.name for field in fields(GenerationSettings)]
    axes = sweep.axes()
    has_drawn = any(cell.drawn for cell in cells)
    header = ["x", "y", "z", *(axis.label() for axis in axes.values()), *["drawn"] * has_drawn]
    header += ["file", "reason"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=LINE_END)
    writer.writerow(defused(text) for text in [*header, *QUANTITIES, "digest", *settings])
    for cell in cells:
        at = {"x": cell.x, "y": cell.y, "z": cell.z}
        row: list[Any] = [*at.values()]
        row += [axis.value_label(at[side]) for side, axis in axes.items()]
        row += [cell.drawn] if has_drawn else []
        row += [cell_name(cell) if cell.image is not None else "", cell.reason]
        numbers_of = measured.get(cell.place)
        for quantity in QUANTITIES.values():
            value = (numbers_of.values if numbers_of else cell.known).get(quantity.name)
            row.append("" if value is None else value)
        row += [cell.digest, *(getattr(cell.settings, name) for name in settings)]
        writer.writerow(defused(value) for value in row)
    return encoded(buffer.getvalue())


def write_zip(
    sweep: Sweep, cells: Sequence[ReportCell], found: Iterable[CellNumbers] = ()
) -> bytes:
    """Every cell's stored file, byte for byte with its metadata, and cells.csv and sweep.json.

    A file that is gone is left out, and the CSV says so. Equal cells give equal bytes.
    """
    buffer = io.BytesIO()
    written: list[ReportCell] = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for cell in cells:
            data = stored_bytes(cell.image)
            if data is not None:
                add_file(archive, f"cells/{cell_name(cell)}", data)
                written.append(cell)
            else:
                reason = cell.reason or "The picture file is missing."
                written.append(replace(cell, image=None, reason=reason))
        add_file(archive, "cells.csv", write_csv(sweep, written, found), compress=True)
        text = json.dumps(sweep.to_dict(), indent=2, ensure_ascii=True)
        add_file(archive, "sweep.json", text.encode(), compress=True)
    return buffer.getvalue()
