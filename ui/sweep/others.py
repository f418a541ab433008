"""Sweeps of this browser that run while the controls say something else."""

from __future__ import annotations

import streamlit as st

from core.runs.queue.jobs import Job
from ui.runs.sweeps import LABEL, is_sweep
from ui.runtime import Runtime, owner_id
from ui.sweep.form import PREFIX
from ui.sweep_link import take_sweep
from ui.views import plain


def show_others(runtime: Runtime, here: Job | None) -> None:
    """A line each, with a way to it and Stop."""
    for job in runtime.queue.jobs(owner=owner_id(), active_only=True):
        if not is_sweep(job) or (here is not None and job.id == here.id):
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            words = f"Also running: {job.label.removeprefix(LABEL)}"
            st.caption(f"{plain(words)}, {job.done_cells} of {job.total_cells}", width="stretch")
            if (sweep := runtime.queue.sweep(job.id)) is not None:
                st.button(
                    "Show",
                    key=f"{PREFIX}:show:{job.id}",
                    icon=":material/visibility:",
                    on_click=take_sweep,
                    args=(sweep,),
                )
            st.button(
                "Stop",
                key=f"{PREFIX}:stop:{job.id}",
                icon=":material/stop_circle:",
                on_click=runtime.queue.cancel,
                args=(job.id,),
            )
