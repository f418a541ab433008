"""The progress line with Stop: of a job or a task, polled until it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.runs.queue.jobs import Cell, Job
from ui.frame import POLL_SECONDS, safe
from ui.runtime import Runtime
from ui.views import duration, show_error


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
    stop: Callable[[], None],
    every: float = POLL_SECONDS,
) -> None:
    """Draw the line again and again in place, every so many seconds, until `look` gives None;
    then the page as a whole. `key` is the Stop button's.
    """

    @st.fragment(run_every=every)
    @safe
    def line() -> None:
        now = look()
        if now is None:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(1.0, now.share), now.words)
            st.button("Stop", key=key, icon=":material/stop_circle:", on_click=stop)
        if now.below is not None:
            now.below()

    line()


def follow_job(runtime: Runtime, job_id: str, *, key: str, before: str = "") -> None:
    """The line of a job, whose words begin with `before`."""

    def look() -> Progress | None:
        job = runtime.queue.job(job_id)
        if job is None or job.is_over:
            return None
        words = progress_text(job, runtime.queue.cells(job_id))
        return Progress(share=share_of(job), words=f"{before}{words}")

    follow(look, key=key, stop=lambda: runtime.queue.cancel(job_id))


def share_of(job: Job) -> float:
    """The part of a job's steps that is done."""
    return min(1.0, job.steps_done / max(1, job.steps_total))


def progress_text(job: Job, cells: Sequence[Cell]) -> str:
    """ "Step 7 of 20 · about 2 s left"; for a batch also how many pictures are ready."""
    if job.state == "pending":
        return "Waiting for its turn"
    words = [f"Step {job.steps_done} of {job.steps_total}"]
    if len(cells) > 1:
        words.append(f"{job.done_cells} of {job.total_cells} pictures ready")
    if job.seconds_left is not None:
        words.append(f"about {duration(job.seconds_left, rough=True)} left")
    return " · ".join(words)


def say_if_stuck(runtime: Runtime) -> None:
    """Why nothing moves yet, below the progress of a job."""
    status = runtime.queue.worker_status()
    if status.state == "failed":
        show_error("Nothing can be computed at the moment", status.message)
    elif status.state in ("starting", "loading"):
        st.caption("The model is being loaded: this takes a moment after the start.")
