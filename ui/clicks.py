"""What lasts one visit of a page: the token of a click, and the dialog that stands open."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager

import streamlit as st

from ui.links import forget_problems

CLICK, OPENED, CLICKED = "click", "opened", "clicked"
"""The last parts of the names in the session, after the page's prefix."""


def note_click(prefix: str) -> None:
    """Make the token of a click: for the callback of a page's button, which runs once a click."""
    st.session_state[f"{prefix}:{CLICK}"] = uuid.uuid4().hex
    forget_problems(prefix)


def is_clicked(prefix: str) -> bool:
    """Return whether this run is the one that a click on the page's button began."""
    return f"{prefix}:{CLICK}" in st.session_state


@contextmanager
def click(prefix: str) -> Generator[str | None]:
    """Yield the token of the page's click, None without one, and consume it at the end.

    Streamlit cuts a run short by an exception that is no Exception. The token outlives that one:
    the run that follows submits again, and the queue answers with the same job.
    """
    try:
        yield st.session_state.get(f"{prefix}:{CLICK}")
    except Exception:
        st.session_state.pop(f"{prefix}:{CLICK}", None)
        raise
    st.session_state.pop(f"{prefix}:{CLICK}", None)


def forget_clicks() -> None:
    """Drop what no part of a page has taken: a click never acts in a later run."""
    _forget(lambda name: name.endswith(f":{CLICK}"))


def leave_others(prefix: str) -> None:
    """Close on every page but this one what was open there, with the clicks that it never saw."""
    ends = tuple(f":{what}" for what in (CLICK, OPENED, CLICKED))
    _forget(lambda name: name.endswith(ends) and not name.startswith(f"{prefix}:"))


def _forget(is_over: Callable[[str], bool]) -> None:
    for name in [str(name) for name in st.session_state]:
        if is_over(name):
            st.session_state.pop(name, None)
