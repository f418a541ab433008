"""Waiting for the worker's tasks: a progress line with Stop, then the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.runs.worker.tasks import Tasks, Work
from ui.runs.progress import Progress, follow
from ui.runtime import Runtime, owner_id
from ui.views import show_error


def await_task(
    runtime: Runtime, key: str, source: str, begin: Callable[[Any], Work], label: str
) -> Any | None:
    """The result of `begin` on the model `source`; until it is there a progress line, and None.

    The task runs once for all reruns that give the same `key`; name in it all that matters. A
    failed or stopped one says so and offers to begin again.
    """
    tasks = runtime.worker.tasks
    if tasks.state(key) is None:
        tasks.submit(key, source, begin, owner_id())
    state = tasks.state(key)
    if state is None or not state.is_over:
        _wait(tasks, key, label)
        return None
    if state.state == "done":
        return state.result
    if state.state == "failed":
        show_error(f"{label}: this did not work", state.reason)
    else:
        st.info("Nothing of it is kept.", title=f"{label}: stopped", icon=":material/stop_circle:")
    st.button(
        "Begin again",
        key=f"task again:{key}",
        icon=":material/refresh:",
        on_click=tasks.submit,
        args=(key, source, begin, owner_id()),
    )
    return None


def _wait(tasks: Tasks, key: str, label: str) -> None:
    """The line is drawn alone until the task is over; then the page is, with the result."""

    def look() -> Progress | None:
        state = tasks.state(key)
        if state is None or state.is_over:
            return None
        if not state.total:
            return Progress(share=0.0, words=f"{label} …")
        words = f"{label}: {state.done} of {state.total}"
        return Progress(share=state.done / state.total, words=words)

    follow(look, key=f"task stop:{key}", stop=lambda: tasks.cancel(key))
