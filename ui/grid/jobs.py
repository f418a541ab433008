"""The jobs of sweeps: which one computes the grid in view, and which others run."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.diffusion.events import Record
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Job
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from ui.runtime import Runtime, owner_id
from ui.sweep.form import PREFIX, take_sweep
from ui.views import plain

LABEL = "Sweep: "
"""How the label of a sweep's job begins, by which it is found again after a reload."""


def label_of(sweep: Sweep) -> str:
    axes = " × ".join(axis.label() for axis in sweep.axes().values())
    return f"{LABEL}{axes}: {sweep.base.prompt}"[:120]


def is_sweep(job: Job) -> bool:
    return job.label.startswith(LABEL)


def submit_sweep(
    runtime: Runtime,
    sweep: Sweep,
    settings: Sequence[GenerationSettings],
    *,
    token: str,
    record: Record = "norms",
) -> None:
    """Queues cells of a sweep as one job of this browser."""
    runtime.queue.submit(
        settings,
        owner=owner_id(),
        token=token,
        record=record,
        label=label_of(sweep),
        sweep=sweep,
        watched=True,
    )


def current_job(runtime: Runtime, plan: Plan) -> Job | None:
    """The job of this browser that computes this grid, else the one that says most of why cells
    are missing. Another sweep may share cells with it, and run beside it.
    """
    missing = set(plan.digests) - set(runtime.store.holds(plan.digests))
    shared, explained = runtime.queue.overlaps(plan.digests), runtime.queue.overlaps(missing)
    jobs = [job for job_id in shared if (job := runtime.queue.job(job_id))]
    return max(
        (job for job in jobs if job.owner == owner_id() and is_sweep(job)),
        key=lambda job: (
            not job.is_over,
            explained.get(job.id, 0),
            shared[job.id],
            job.created_at,
        ),
        default=None,
    )


def show_others(runtime: Runtime, here: Job | None) -> None:
    """Sweeps of this browser that run while the controls say something else."""
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
