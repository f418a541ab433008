"""How far a job is, in words, and its progress line."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.runs.queue.jobs import Cell, Job
from ui.progress import Progress, follow
from ui.runtime import Runtime
from ui.views import duration, show_error


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


def say_if_stuck(runtime: Runtime, job: Job) -> None:
    """Why nothing moves yet, below the progress of a job."""
    status = runtime.queue.worker_status()
    if status.state == "failed":
        show_error("Nothing can be computed at the moment", status.message)
    elif status.state in ("starting", "loading"):
        st.caption("The model is being loaded: this takes a moment after the start.")
    elif job.state == "pending" and (seconds := runtime.queue.seconds_ahead(job.id)):
        st.caption(
            "Images of another model are in progress, for about "
            f"{duration(seconds, rough=True)}. This model is loaded after them."
        )
