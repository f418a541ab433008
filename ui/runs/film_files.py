"""Film files: made by a task when they are asked for, then offered as a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.runs.queue.tasks import TaskRequest
from ui.runs.tasks import await_task
from ui.runtime import Runtime, owner_id


def film_file(
    runtime: Runtime, request: TaskRequest, find: Callable[[], Path | None], label: str
) -> Path | None:
    """The file that `find` gives, made by the task where it is not kept; until then its progress
    with Stop, and None.
    """
    if path := find():
        return path
    if await_task(runtime, request, label) is None:
        return None
    path = find()
    if path is None:  # made once, and removed since: make it again
        runtime.tasks.submit(request, owner_id(), again=True)
        st.rerun()
    return path


def film_download(place: DeltaGenerator, path: Path, kind: str, name: str, mime: str) -> None:
    """The download of a film's file as `name`; `kind` is what a person calls its format."""
    place.download_button(
        f"Download {kind}, {path.stat().st_size / 1e6:.1f} MB",
        path.read_bytes,
        file_name=name,
        mime=mime,
        key=f"film download:{path.name}",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )
