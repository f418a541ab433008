"""Sweeps kept by name, and sweeps out of pictures that were exported."""

from __future__ import annotations

import streamlit as st

from core.output.sheet.sheet import SheetError, read_sweep
from core.runs.store.store import MAX_NAME, SavedSweep, StoreError
from core.sweeps.sweep import Sweep
from ui.frame import safe
from ui.runs.sweeps import describe_sweep
from ui.runtime import Runtime
from ui.sweep.form import PREFIX
from ui.sweep_link import take_sweep
from ui.views import ago, plain, show_error

DELETING = f"{PREFIX}:deleting"
NAME = f"{PREFIX}:name"
PROBLEM = f"{PREFIX}:not_saved"
TYPES = ["png", "jpg", "jpeg", "webp", "pdf"]


def show_saved(runtime: Runtime, sweep: Sweep, *, can_save: bool) -> None:
    """Save, open again, delete."""
    with (
        st.form(f"{PREFIX}:save", border=False, clear_on_submit=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"),
    ):
        st.text_input("Save this sweep as", key=NAME, max_chars=MAX_NAME)
        st.form_submit_button(
            "Save",
            key=f"{PREFIX}:save_it",
            icon=":material/bookmark_add:",
            disabled=not can_save,
            on_click=_save,
            args=(runtime, sweep),
        )
    if problem := st.session_state.pop(PROBLEM, None):
        show_error("Not saved", problem)
    saved = runtime.store.sweeps()
    if not saved:
        st.caption("No saved sweeps yet.")
    for one in saved:
        _show_one(one)
    if (name := st.session_state.get(DELETING)) is not None:
        _confirm_delete(runtime, name)


def drop_sweep() -> None:
    """An exported grid brings its sweep back."""
    file = st.file_uploader(
        "Drop an exported grid",
        type=TYPES,
        key=f"{PREFIX}:drop",
        help=f"PNG, JPEG, WebP or PDF, up to {st.get_option('server.maxUploadSize')} MB. The file "
        "is read, not kept.",
    )
    if file is None:
        return
    try:
        found = read_sweep(file.getvalue())
    except SheetError as error:
        show_error("No sweep could be read from this file", str(error))
        return
    st.caption(plain(describe_sweep(found)))
    st.button(
        "Use this sweep",
        key=f"{PREFIX}:use_dropped",
        type="primary",
        on_click=take_sweep,
        args=(found,),
    )


def _show_one(one: SavedSweep) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            plain(one.name),
            key=f"{PREFIX}:open:{one.name}",
            type="tertiary",
            icon=":material/bookmark:",
            help=plain(f"{describe_sweep(one.sweep)} · saved {ago(one.updated_at)}"),
            on_click=take_sweep,
            args=(one.sweep,),
        )
        st.button(
            "",
            key=f"{PREFIX}:delete:{one.name}",
            type="tertiary",
            icon=":material/delete:",
            help="Delete this saved sweep",
            on_click=_ask,
            args=(one.name,),
        )


@st.dialog("Delete saved sweep", icon=":material/delete:", on_dismiss=lambda: _ask(None))
@safe
def _confirm_delete(runtime: Runtime, name: str) -> None:
    st.text(f"Delete the saved sweep “{name}”? Its pictures stay in the Gallery.")
    with st.container(horizontal=True):
        if st.button("Delete", key=f"{PREFIX}:really", type="primary"):
            runtime.store.delete_sweep(name)
            _ask(None)
            st.rerun()
        if st.button("Cancel", key=f"{PREFIX}:keep"):
            _ask(None)
            st.rerun()


def _save(runtime: Runtime, sweep: Sweep) -> None:
    try:
        runtime.store.save_sweep(st.session_state[NAME], sweep)
    except StoreError as error:
        st.session_state[PROBLEM] = str(error)
    else:
        st.session_state[NAME] = ""


def _ask(name: str | None) -> None:
    st.session_state[DELETING] = name
