"""A person's own numbers of a grid's pictures: typed into a table, or imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.exports.effects.own_csv import MOST_BYTES, OwnNumbersError, read_own_numbers
from core.runs.store.measured.own import MAX_NAME, OwnNumbers
from core.runs.store.store import StoreError
from ui.grid.board import Board, BoardCell
from ui.runtime import Runtime
from ui.views import plain, show_error, show_warning

FIRST_NAME = "My rating"
NEW = "A new one"


@dataclass(kw_only=True, eq=False)
class Editor:
    """The table that an editor began with, to which it keeps what was typed as changes, and the
    numbers that are stored since.
    """

    key: str
    frame: pd.DataFrame
    digests: tuple[str, ...]
    expected: dict[str, float]
    version: int


def own_numbers(runtime: Runtime, board: Board) -> dict[str, dict[str, float]]:
    """Measure -> digest -> number, of this grid's pictures."""
    return OwnNumbers(runtime.store.database).of(board.plan.digests)


def show_own_numbers(
    runtime: Runtime, board: Board, known: Mapping[str, Mapping[str, float]]
) -> None:
    """Type numbers, or import them from CSV: they are measures like the others from then on."""
    st.caption(
        "Count the fingers, rate the likeness: a number for each picture is a measure like the "
        "others. It is kept with the picture."
    )
    _show_table(runtime, board, known)
    _show_import(runtime, board)


def _show_table(runtime: Runtime, board: Board, known: Mapping[str, Mapping[str, float]]) -> None:
    name = _choose_name(board, known)
    if not name:
        return
    cells = list({cell.digest: cell for cell in reversed(board.done())}.values())
    cells.sort(key=lambda cell: cell.index)
    values = known.get(name, {})
    editor = _editor(board, cells, name, values)
    edited = st.data_editor(
        editor.frame.rename(columns={"number": name}),
        key=f"{editor.key}:{editor.version}",
        hide_index=True,
        height="content" if len(cells) <= 12 else 420,
        disabled=[str(column) for column in editor.frame.columns if column != "number"],
        column_config={name: st.column_config.NumberColumn(name, step=None)},
        placeholder="",
    )
    typed = [None if pd.isna(value) else float(value) for value in edited[name]]
    changed = {
        cell.digest: value
        for cell, value in zip(cells, typed, strict=True)
        if value != values.get(cell.digest) and (value is None or math.isfinite(value))
    }
    if changed:
        try:
            OwnNumbers(runtime.store.database).keep(name, changed)
        except StoreError as error:
            show_error("Not kept", str(error))
            return
        kept = {**values, **changed}
        editor.expected = {one: value for one, value in kept.items() if value is not None}
        st.rerun()


def _editor(board: Board, cells: list[BoardCell], name: str, values: Mapping[str, float]) -> Editor:
    """The editor of a measure; a new version of it where its numbers came from elsewhere."""
    digests = tuple(cell.digest for cell in cells)
    key = board.state.name(f"own_table:{name}")
    kept: Editor | None = st.session_state.get(key)
    if kept is None or kept.digests != digests or kept.expected != values:
        kept = Editor(
            key=key,
            frame=_frame(board, cells, values),
            digests=digests,
            expected=dict(values),
            version=kept.version + 1 if kept else 0,
        )
        st.session_state[key] = kept
    return kept


def _choose_name(board: Board, known: Mapping[str, object]) -> str:
    """The measure whose numbers are typed."""
    chosen = NEW
    if known:
        chosen = st.selectbox("Measure to type", [*known, NEW], key=board.state.name("own_measure"))
    if chosen != NEW:
        return str(chosen)
    name = st.text_input(
        "Its name", value=FIRST_NAME, max_chars=MAX_NAME, key=board.state.name("own_name")
    )
    return " ".join((name or "").split())


def _frame(board: Board, cells: list[BoardCell], values: Mapping[str, float]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for cell in cells:
        row: dict[str, Any] = {
            axis.label(): axis.value_label(getattr(cell.at, side))
            for side, axis in board.sweep.axes().items()
        }
        rows.append({**row, "number": values.get(cell.digest)})
    return pd.DataFrame(rows).astype({"number": "float64"})


def _show_import(runtime: Runtime, board: Board) -> None:
    name = board.state.name("own_file")
    file = st.file_uploader(
        "Import from CSV",
        type=["csv", "txt", "tsv"],
        key=name,
        max_upload_size=MOST_BYTES // 1_000_000,
        help="A row is found by digest, by x, y and z as in the exported CSV, or by the value of "
        "each axis. Every other column is a measure: the exported CSV with a column more will do.",
    )
    taken = f"{name}:taken"
    if file is None:
        st.session_state.pop(taken, None)
        return
    if st.session_state.get(taken, ("",))[0] != file.file_id:
        st.session_state[taken] = (file.file_id, *_import(runtime, board, file.getvalue()))
        st.rerun()
    _, names, count, problems = st.session_state[taken]
    if count:
        listed = ", ".join(names)
        st.success(plain(f"{listed}: numbers of {count} pictures."), icon=":material/check:")
    if problems:
        title = "Some rows were left out" if count else "This file has no number for this grid"
        (show_warning if count else show_error)(
            title, "\n\n".join(problems), "Mend the file and import it again."
        )


def _import(
    runtime: Runtime, board: Board, data: bytes
) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """The measures that were read, of how many pictures, and what was wrong."""
    try:
        table = read_own_numbers(data, board.sweep, board.plan)
    except OwnNumbersError as error:
        return (), 0, error.problems
    own = OwnNumbers(runtime.store.database)
    try:
        for name, values in table.numbers.items():
            own.keep(name, values)
    except StoreError as error:
        return (), 0, (str(error),)
    return tuple(table.numbers), table.count, table.problems
