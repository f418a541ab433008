"""Where the controls of a sweep are: beside the grid, or folded above it once it has been run."""

from __future__ import annotations

import streamlit as st

from ui.catalog import SWEEP
from ui.sweep_link import key

FOLD = f"{SWEEP.prefix}:controls"
"""The entry of the expander that holds the folded controls."""


def is_wide() -> bool:
    """Return whether the grid has the whole width; the address says it, so that it lasts."""
    return st.query_params.get(key("wide")) == "true"


def label(summary: str) -> str:
    """Return the label of the folded controls: while they are open the one that they had, since
    Streamlit takes an expander with another label for another one, which is closed.
    """
    name = f"{SWEEP.prefix}:controls_label"
    if not st.session_state.get(FOLD):
        st.session_state[name] = summary
    return st.session_state[name]


def make_wide(wide: bool = True) -> None:
    """Give the grid the whole width, the controls folded; or put them beside it. A callback."""
    if wide:
        st.query_params[key("wide")] = "true"
    else:
        st.query_params.pop(key("wide"), None)
    st.session_state[FOLD] = False
