"""The editor of a table of settings: rows are added, changed and pasted before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.sweeps.sweep import Sweep
from core.sweeps.tables.table import SettingsTable, TableError, read_rows, write_cell
from ui.frame import safe
from ui.help import help_of
from ui.sweep.form import PREFIX
from ui.sweep.table_use import say_notes, scale_factor, show_problems, sweep_of
from ui.sweep_link import take_sweep

OPEN = f"{PREFIX}:table_open"
COLUMNS = f"{PREFIX}:table_columns"
_DRAFT = f"{PREFIX}:table_draft"
_EDITED = f"{PREFIX}:table_edited"
_TAKEN = f"{PREFIX}:table_taken"
_DTYPES: dict[type, str] = {bool: "boolean", int: "float64", float: "float64", str: "str"}
"""Of a column; whole numbers are floats, so that 1.5 is said to be none and not cut to 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """The table that the editor began with, and of which sweep; a new version is a new editor."""

    sweep: Sweep
    frame: pd.DataFrame
    version: int = 0


def open_editor(sweep: Sweep, table: SettingsTable) -> None:
    """Open it with the table, or with what was typed for the same sweep before. A callback."""
    draft: Draft | None = st.session_state.get(_DRAFT)
    if draft is None or draft.sweep != sweep:
        version = draft.version + 1 if draft else 0
        rows = [{name: _in_editor(value) for name, value in row.items()} for row in table.rows]
        frame = _typed(pd.DataFrame(rows, dtype=object), table.columns)
        st.session_state[_DRAFT] = Draft(sweep=sweep, frame=frame, version=version)
    else:
        edited = st.session_state.get(_EDITED, draft.frame)
        edited = _typed(edited, list(edited.columns))
        st.session_state[_DRAFT] = replace(draft, frame=edited, version=draft.version + 1)
    st.session_state[COLUMNS] = list(st.session_state[_DRAFT].frame.columns)
    st.session_state[OPEN] = True


def take_edited() -> None:
    """Set the page to the table that the editor has closed with, before its controls are drawn."""
    if (sweep := st.session_state.pop(_TAKEN, None)) is not None:
        take_sweep(sweep)


def _close() -> None:
    st.session_state[OPEN] = False


@st.dialog("Table of settings", width="large", icon=":material/table:", on_dismiss=_close)
@safe
def edit_table() -> None:
    """The dialog; what was typed is kept when it is closed without being used."""
    draft: Draft = st.session_state[_DRAFT]
    columns = st.multiselect("Columns", list(SETTINGS), key=COLUMNS, format_func=label_of)
    if columns != list(draft.frame.columns):
        frame = _typed(st.session_state.get(_EDITED, draft.frame), columns)
        draft = replace(draft, frame=frame, version=draft.version + 1)
        st.session_state[_DRAFT] = draft
    edited = st.data_editor(
        draft.frame,
        num_rows="dynamic",
        hide_index=False,
        column_config={name: _column(SETTINGS[name]) for name in columns},
        key=f"{PREFIX}:table_rows:{draft.version}",
        placeholder="",
    )
    st.session_state[_EDITED] = edited
    st.caption(
        'Each row is a picture. An empty cell keeps the value of the base settings; `""` is an '
        "empty text. Rows can be pasted from a spreadsheet."
    )
    made = _read(draft.sweep, edited)
    with st.container(horizontal=True):
        if st.button("Use this table", key=f"{PREFIX}:table_done", type="primary") and made:
            st.session_state[_TAKEN] = made
            st.session_state.pop(_DRAFT)
            _close()
            st.rerun()
        if st.button("Cancel", key=f"{PREFIX}:table_keep"):
            _close()
            st.rerun()


def _read(sweep: Sweep, frame: pd.DataFrame) -> Sweep | None:
    """The sweep of what was typed; None with everything that is wrong said."""
    rows: list[dict[str, Any]] = [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    try:
        table = read_rows(
            rows,
            numbers=list(frame.index),
            base=sweep.base,
            vae_scale_factor=scale_factor(sweep.base),
        )
        made = sweep_of(sweep.base, table)
    except TableError as error:
        show_problems("This table cannot be used yet", error.problems)
        return None
    say_notes(table)
    return made


def _typed(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The frame with these columns, those that are new empty, and rows counted from 1."""
    found = frame.reindex(columns=list(columns))
    found = found.astype({name: _DTYPES[SETTINGS[name].kind] for name in columns})
    return found.set_axis(pd.RangeIndex(1, len(found) + 1), axis=0)


def _in_editor(value: Any) -> Any:
    return write_cell(value) if isinstance(value, str) else value


def _column(row: Setting) -> Any:
    config, help = st.column_config, help_of(row)
    if row.kind is bool:
        return config.CheckboxColumn(row.label, help=help)
    if row.kind is not str:
        return config.NumberColumn(row.label, help=help, step=None)
    if row.choices:
        return config.SelectboxColumn(row.label, help=help, options=list(row.choices))
    width = "large" if row.is_prompt else None
    return config.TextColumn(row.label, help=help, width=width)
