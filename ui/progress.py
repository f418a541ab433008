"""The progress line with Stop: of a job, a task or a download, polled until it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from ui.frame import POLL_SECONDS, safe


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far something is: `share` of 1, in words, and what is drawn below the line."""

    share: float
    words: str
    below: Callable[[], None] | None = None


def follow(
    look: Callable[[], Progress | None],
    *,
    key: str,
    stop: Callable[[], None] | None,
    every: float = POLL_SECONDS,
) -> None:
    """Draw the line again and again in place, every so many seconds, until `look` gives None;
    then the page as a whole. `key` is the Stop button's, which is not there without `stop`.
    """

    @st.fragment(run_every=every)
    @safe
    def line() -> None:
        now = look()
        if now is None:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(1.0, now.share), now.words)
            if stop is not None:
                st.button("Stop", key=key, icon=":material/stop_circle:", on_click=stop)
        if now.below is not None:
            now.below()

    line()
