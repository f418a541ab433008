"""A sweep as a table of settings, one picture a row: opened from CSV, edited, and downloaded."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import partial

import streamlit as st

from core.sweeps.axes import AxisError
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from core.sweeps.tables.table import MAX_ROWS, SettingsTable, TableError, table_in, table_of
from core.sweeps.tables.table_csv import read_csv, write_csv
from ui.sweep.form import PREFIX
from ui.sweep.table_editor import OPEN, edit_table, open_editor
from ui.sweep.table_use import say_table, scale_factor, show_problems, sweep_of
from ui.sweep_link import take_sweep

FIRST_COLUMNS = ("num_inference_steps", "guidance_scale", "seed")
"""The columns of a table that begins without any sweep."""


def show_table(sweep: Sweep, plan: Plan) -> None:
    """The ways to a table of settings and from one."""
    st.caption("Each row of the table is a picture, each column a setting.")
    cells = len(plan.cells)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Edit as a table",
            key=f"{PREFIX}:table_edit",
            icon=":material/edit:",
            disabled=cells > MAX_ROWS,
            help=f"A table has up to {MAX_ROWS:,} rows; this sweep has {cells:,} cells."
            if cells > MAX_ROWS
            else None,
            on_click=_edit,
            args=(sweep, plan),
        )
        st.download_button(
            "Download as CSV",
            partial(_csv, sweep, plan),
            file_name="lightbox-table.csv",
            mime="text/csv",
            key=f"{PREFIX}:table_csv",
            icon=":material/download:",
            disabled=not cells,
            help="The settings that differ, a row for each picture: edit it in a spreadsheet, and "
            "open it here again.",
            on_click="ignore",
        )
    _open_file(sweep)
    if st.session_state.get(OPEN):
        edit_table()


def _open_file(sweep: Sweep) -> None:
    file = st.file_uploader(
        "Open a CSV file",
        type=["csv", "tsv", "txt"],
        key=f"{PREFIX}:table_file",
        help="Its first row names settings, such as steps, seed, prompt. An empty cell keeps the "
        f"value of the base settings. Up to {MAX_ROWS:,} rows.",
    )
    if file is None:
        return
    base = sweep.base
    try:
        content = io.BytesIO(file.getvalue())
        found = read_csv(content, base=base, vae_scale_factor=scale_factor(base))
        made = sweep_of(base, found)
    except TableError as error:
        show_problems("This table cannot be used", error.problems)
        return
    say_table(found)
    st.button(
        "Use this table",
        key=f"{PREFIX}:table_use",
        type="primary",
        on_click=take_sweep,
        args=(made,),
    )


def _edit(sweep: Sweep, plan: Plan) -> None:
    open_editor(sweep, _table(sweep, plan))


def _csv(sweep: Sweep, plan: Plan) -> bytes:
    return write_csv(_table(sweep, plan))


def _table(sweep: Sweep, plan: Plan) -> SettingsTable:
    """The sweep's cells; of one that cannot run yet the rows that its axis names, or one row."""
    if plan.cells:
        return table_of(sweep, plan.cells)
    if sweep.x is not None and sweep.x.name == "settings":
        with suppress(AxisError):
            return table_in(sweep.x)
    row = {name: getattr(sweep.base, name) for name in FIRST_COLUMNS}
    return SettingsTable(columns=FIRST_COLUMNS, rows=(row,))
