"""Stopped pictures: what each had come to, shown as soon as the worker has decoded it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import streamlit as st

from core.runs.queue.jobs import Job, StoppedCell
from ui.frame import SLOW_POLL_SECONDS, safe
from ui.runtime import Runtime

WAIT_SECONDS = 20.0
"""How long after a stop its last predictions are waited for."""


def show_stopped(
    runtime: Runtime, job: Job, draw: Callable[[Mapping[int, StoppedCell]], None]
) -> None:
    """Draw with what a job's stopped cells had come to, by their position; again while any of it
    is still on its way.
    """
    every = SLOW_POLL_SECONDS if _is_waiting(runtime, job) else None

    @st.fragment(run_every=every)
    @safe
    def stopped() -> None:
        if every and not _is_waiting(runtime, job):
            st.rerun()  # all are there: draw once without the clock
        draw(runtime.queue.stopped(job.id))

    stopped()


def words_of(stopped: StoppedCell) -> str:
    return f"Stopped at step {stopped.step} of {stopped.total_steps}"


def download_stopped(stopped: StoppedCell, seed: int, *, key: str) -> None:
    """The button that saves a stopped picture."""
    st.download_button(
        "Download",
        stopped.png,
        f"stopped-seed-{seed}-step-{stopped.step}-of-{stopped.total_steps}.png",
        "image/png",
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )


def _is_waiting(runtime: Runtime, job: Job) -> bool:
    if job.state != "cancelled" or time.time() - (job.finished_at or 0) > WAIT_SECONDS:
        return False
    found = runtime.queue.stopped_positions(job.id)
    return any(
        cell.state == "cancelled" and cell.step > 0 and cell.position not in found
        for cell in runtime.queue.cells(job.id)
    )
