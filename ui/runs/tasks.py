"""Waiting for the worker's tasks: a progress line with Stop, then the result."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from core.diffusion.models.load import ModelError, describe
from core.diffusion.settings import GenerationSettings
from core.runs.queue.task_table import TASKS
from core.runs.queue.tasks import TaskRequest, Tasks
from ui.progress import Progress, follow
from ui.runtime import Runtime, owner_id
from ui.views import show_error


def request_of(name: str, settings: GenerationSettings, **arguments: Any) -> TaskRequest:
    """The task `name` of TASKS on these settings, with arguments of JSON."""
    fingerprint = ""
    with suppress(ModelError):  # of a model that is not here the worker says so
        fingerprint = describe(settings.model).fingerprint
    return TaskRequest(name=name, settings=settings, arguments=arguments, fingerprint=fingerprint)


def await_task(runtime: Runtime, request: TaskRequest, label: str = "") -> Any | None:
    """The result of a task; until it is there a progress line, and None.

    The task runs once for all reruns, pages and sessions that ask for the same. A failed or
    stopped one says so and offers to start again.
    """
    tasks, key = runtime.tasks, request.key
    label = label or TASKS[request.name].label
    state = tasks.state(key)
    if state is None:
        tasks.submit(request, owner_id())
        state = tasks.state(key)
    if state is not None and state.state == "done":
        result = tasks.result(key)
        if result is not None:
            return result
        tasks.submit(request, owner_id())  # its file was lost
    if state is None or not state.is_over or state.state == "done":
        _wait(tasks, key, label)
        return None
    if state.state == "failed":
        show_error(f"{label} failed", state.reason)
    else:
        st.info("Nothing was kept.", title=f"{label}: stopped", icon=":material/stop_circle:")
    st.button(
        "Start again",
        key=f"task again:{key}",
        icon=":material/refresh:",
        on_click=tasks.submit,
        args=(request, owner_id()),
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
