"""A sweep as a web page that needs nothing else: opened from disk, offline, in any browser.

Pictures are inlined, or lie beside the page in a ZIP where they are large. The page may load
nothing and run no script but its own: its content security policy names their hashes, so a label
that slipped through the escaping could still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from core.exports.effects.appendix import COLUMNS, Appendix
from core.exports.files import add_file, cell_name, stored_bytes
from core.output.figures.vector.shapes import to_svg
from core.output.numbers.cell_numbers import CellNumbers, Place, ReportCell, means, numbers
from core.output.numbers.quantities import QUANTITIES
from core.output.texts.a1111.parameters import VERSION
from core.output.texts.legend import legend, settings_lines, value_labels
from core.sweeps.sweep import Sweep

INLINE_LIMIT = 40_000_000
"""Bytes of pictures up to which one file holds them all: beyond it browsers open it slowly."""

TEMPLATES = Path(__file__).parent / "templates"


def inlined_size(cells: Iterable[ReportCell]) -> int:
    """Bytes of the pictures; above INLINE_LIMIT `write_html_zip` is the better choice."""
    return sum(_size(cell.image) for cell in cells)


def write_html(
    sweep: Sweep,
    cells: Sequence[ReportCell],
    found: Sequence[CellNumbers] = (),
    *,
    title: str = "",
    reference: Place | None = None,
    appendix: Appendix | None = None,
) -> bytes:
    """One HTML file with every picture inside, byte for byte as stored.

    `reference` is the cell that `found` was measured against; without `found` the page shows
    what is stored of each cell. `appendix` stands below the grid.
    """

    def inline(cell: ReportCell) -> str:
        data = stored_bytes(cell.image)
        return f"data:image/png;base64,{base64.b64encode(data).decode()}" if data else ""

    return _page(sweep, cells, found, title, reference, inline, appendix)


def write_html_zip(
    sweep: Sweep,
    cells: Sequence[ReportCell],
    found: Sequence[CellNumbers] = (),
    *,
    title: str = "",
    reference: Place | None = None,
    appendix: Appendix | None = None,
) -> bytes:
    """A ZIP with index.html and the pictures in cells/ beside it, each stored once."""
    buffer = io.BytesIO()
    written: dict[str, str] = {}  # digest -> name, of pictures that several cells share
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:

        def beside(cell: ReportCell) -> str:
            if cell.digest and cell.digest in written:
                return written[cell.digest]
            data = stored_bytes(cell.image)
            name = f"cells/{cell_name(cell)}" if data else ""
            if data:
                add_file(archive, name, data)
            written[cell.digest] = name
            return name

        page = _page(sweep, cells, found, title, reference, beside, appendix)
        add_file(archive, "index.html", page, compress=True)
    return buffer.getvalue()


def _page(
    sweep: Sweep,
    cells: Sequence[ReportCell],
    found: Sequence[CellNumbers],
    title: str,
    reference: Place | None,
    source: Callable[[ReportCell], str],
    appendix: Appendix | None,
) -> bytes:
    by_place = {cell.place: cell for cell in cells}
    measured = list(found) or numbers(cells)
    columns, rows, pages = sweep.shape()
    page_titles = value_labels(sweep.z)
    drawn: list[dict[str, Any]] = [
        {
            "title": page_titles[z],
            "rows": [
                [_drawn(sweep, (x, y, z), by_place.get((x, y, z)), source) for x in range(columns)]
                for y in range(rows)
            ],
        }
        for z in range(pages)
    ]
    in_order = [one for page in drawn for row in page["rows"] for one in row]
    data = _data(sweep, by_place, measured, in_order)
    style = (TEMPLATES / "sweep.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "sweep.js").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = dict(legend(sweep))
    if reference is not None:
        shared["Reference of RMSE and SSIM"] = _label(sweep, *reference)
    text = environment.get_template("sweep.html").render(
        title=title.strip() or "A sweep",
        shared=shared,
        axes={side: data["axes"].get(side) for side in ("x", "y", "z")},
        columns=value_labels(sweep.x),
        rows=value_labels(sweep.y),
        pages=drawn,
        quantities=QUANTITIES.values(),
        appendix=appendix,
        effect_columns=COLUMNS,
        svg=lambda figure: Markup(to_svg(figure)),
        data=data,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        footer=f"{VERSION}. This page is self-contained and works offline.",
    )
    return text.encode("utf-8", "replace")


def _drawn(
    sweep: Sweep, place: Place, cell: ReportCell | None, source: Callable[[ReportCell], str]
) -> dict[str, Any]:
    """What the grid shows of a cell: its picture, or the reason why there is none."""
    shown = source(cell) if cell else ""
    return {
        "at": _at(place),
        "label": _label(sweep, *place),
        "source": shown,
        "reason": "" if shown else (cell.reason if cell else "") or "Not computed",
        "width": cell.settings.width if cell else 0,
        "height": cell.settings.height if cell else 0,
        "words": cell.drawn if cell else "",
    }


def _data(
    sweep: Sweep,
    by_place: Mapping[Place, ReportCell],
    measured: Sequence[CellNumbers],
    drawn: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the page's script is given: axes, cells, quantities and their means."""
    pages = sweep.shape()[2]
    numbers_at = {_at((cell.x, cell.y, cell.z)): cell for cell in measured}
    cell_at = {_at(place): cell for place, cell in by_place.items()}
    entries: dict[str, dict[str, Any]] = {}
    for one in drawn:
        at = one["at"]
        cell, found = cell_at.get(at), numbers_at.get(at)
        entries[at] = {
            "label": one["label"],
            "reason": one["reason"],
            "settings": _settings(cell) if cell else [],
            "numbers": {name: found.value(name) if found else None for name in QUANTITIES},
        }
    places = list(entries)
    return {
        "axes": {
            side: {"label": axis.label(), "values": value_labels(axis)}
            for side, axis in sweep.axes().items()
        },
        "cells": entries,
        "first": [places[0], places[min(1, len(places) - 1)]],
        "quantities": [
            {"name": q.name, "label": q.label, "digits": q.digits} for q in QUANTITIES.values()
        ],
        "means": {
            name: [vars(means(sweep, measured, name, z)) for z in range(pages)]
            for name in QUANTITIES
        },
    }


def _settings(cell: ReportCell) -> list[tuple[str, str]]:
    """Its settings, after the words that were drawn for them."""
    drawn = [("Drawn", cell.drawn)] if cell.drawn else []
    return [*drawn, *settings_lines(cell.settings)]


def _at(place: Place) -> str:
    return "-".join(map(str, place))


def _policy(style: str, script: str) -> str:
    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data: file: 'self'; style-src {hashed(style)}; "
        f"script-src {hashed(script)}; base-uri 'none'; form-action 'none'"
    )


def _label(sweep: Sweep, x: int, y: int, z: int) -> str:
    at = {"x": x, "y": y, "z": z}
    parts = [f"{axis.label()} {axis.value_label(at[side])}" for side, axis in sweep.axes().items()]
    return ", ".join(parts) or "The only cell"


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0
