"""Sweeps kept by name, and sweeps out of pictures that were exported."""

from __future__ import annotations

import streamlit as st

from core.output.sheet.sheet import SheetError, read_sweep
from core.runs.store.saved_sweeps import clean_name
from core.runs.store.store import MAX_NAME, SavedSweep, StoreError
from core.sweeps.sweep import Sweep
from ui.frame import safe
from ui.runs.sweeps import describe_sweep, recent_sweeps
from ui.runtime import Runtime
from ui.sweep.form import PREFIX
from ui.sweep_link import take_sweep
from ui.views import ago, plain, show_error

DELETING = f"{PREFIX}:delete"
RENAMING = f"{PREFIX}:rename"
REPLACING = f"{PREFIX}:replacing"
NAME = f"{PREFIX}:name"
PROBLEM = f"{PREFIX}:not_saved"
TYPES = ["png", "jpg", "jpeg", "webp", "pdf"]


def show_recent(runtime: Runtime) -> None:
    """The last sweeps that were run in this browser, each a click away."""
    recent = recent_sweeps(runtime)
    st.caption("Run here last" if recent else "No sweep has been run in this browser yet.")
    for job_id, when, sweep in recent:
        st.button(
            plain(describe_sweep(sweep)),
            key=f"{PREFIX}:recent:{job_id}",
            type="tertiary",
            icon=":material/history:",
            help=f"Run {ago(when)}",
            on_click=take_sweep,
            args=(sweep,),
        )


def show_saved(runtime: Runtime, sweep: Sweep, *, can_save: bool) -> None:
    """Save, open again, rename, delete."""
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
            on_click=_ask_or_save,
            args=(runtime, sweep),
        )
    if problem := st.session_state.pop(PROBLEM, None):
        show_error("Not saved", problem)
    saved = runtime.store.sweeps()
    if not saved:
        st.caption("No saved sweeps yet.")
    for one in saved:
        _show_one(one)
    if (name := st.session_state.get(REPLACING)) is not None:
        _confirm_replace(runtime, sweep, name)
    elif (name := st.session_state.get(RENAMING)) is not None:
        _rename(runtime, name)
    elif (name := st.session_state.get(DELETING)) is not None:
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
        for what, icon, words in (
            (RENAMING, ":material/edit:", "Rename this saved sweep"),
            (DELETING, ":material/delete:", "Delete this saved sweep"),
        ):
            st.button(
                "",
                key=f"{what}:{one.name}",
                type="tertiary",
                icon=icon,
                help=words,
                on_click=_ask,
                args=(what, one.name),
            )


@st.dialog("Replace saved sweep", icon=":material/bookmark:", on_dismiss=lambda: _ask(REPLACING))
@safe
def _confirm_replace(runtime: Runtime, sweep: Sweep, name: str) -> None:
    st.text(f"There is a saved sweep “{name}” already. Replace it by the one in view?")
    with st.container(horizontal=True):
        if st.button("Replace", key=f"{PREFIX}:replace", type="primary"):
            runtime.store.save_sweep(name, sweep)
            _ask(REPLACING)
            st.rerun()
        if st.button("Cancel", key=f"{PREFIX}:keep"):
            _ask(REPLACING)
            st.rerun()


@st.dialog("Rename saved sweep", icon=":material/edit:", on_dismiss=lambda: _ask(RENAMING))
@safe
def _rename(runtime: Runtime, name: str) -> None:
    to = st.text_input("Name", value=name, max_chars=MAX_NAME, key=f"{PREFIX}:new_name:{name}")
    with st.container(horizontal=True):
        if st.button("Rename", key=f"{PREFIX}:rename_it", type="primary"):
            try:
                runtime.store.rename_sweep(name, to)
            except StoreError as error:
                show_error("Not renamed", str(error))
            else:
                _ask(RENAMING)
                st.rerun()
        if st.button("Cancel", key=f"{PREFIX}:keep"):
            _ask(RENAMING)
            st.rerun()


@st.dialog("Delete saved sweep", icon=":material/delete:", on_dismiss=lambda: _ask(DELETING))
@safe
def _confirm_delete(runtime: Runtime, name: str) -> None:
    st.text(f"Delete the saved sweep “{name}”? Its pictures stay in the Gallery.")
    with st.container(horizontal=True):
        if st.button("Delete", key=f"{PREFIX}:really", type="primary"):
            runtime.store.delete_sweep(name)
            _ask(DELETING)
            st.rerun()
        if st.button("Cancel", key=f"{PREFIX}:keep"):
            _ask(DELETING)
            st.rerun()


def _ask_or_save(runtime: Runtime, sweep: Sweep) -> None:
    """Save, or ask first where the name is taken."""
    try:
        name = clean_name(st.session_state[NAME])
        if any(one.name == name for one in runtime.store.sweeps()):
            _ask(REPLACING, name)
        else:
            runtime.store.save_sweep(name, sweep)
    except StoreError as error:
        st.session_state[PROBLEM] = str(error)
    else:
        st.session_state[NAME] = ""


def _ask(what: str, name: str | None = None) -> None:
    """Open the dialog `what` of a saved sweep; without a name close it."""
    st.session_state[what] = name
