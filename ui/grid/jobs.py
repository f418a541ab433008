"""The jobs of sweeps: submitting one, and which one computes the grid in view."""

from __future__ import annotations

from collections.abc import Sequence

from core.diffusion.events import Record
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Job
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from ui.runs.sweeps import is_sweep, label_of
from ui.runtime import Runtime, owner_id


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
    are missing; else one of another browser that is computing all of them. Another sweep may
    share cells with it, and run beside it.
    """
    missing = set(plan.digests) - set(runtime.store.holds(plan.digests))
    shared, explained = runtime.queue.overlaps(plan.digests), runtime.queue.overlaps(missing)
    jobs = [job for job_id in shared if (job := runtime.queue.job(job_id))]
    mine = [job for job in jobs if job.owner == owner_id() and is_sweep(job)]
    theirs = [
        job for job in jobs if missing and not job.is_over and explained.get(job.id) == len(missing)
    ]
    return max(
        theirs if theirs and all(job.is_over for job in mine) else mine,
        key=lambda job: (
            not job.is_over,
            explained.get(job.id, 0),
            shared[job.id],
            job.created_at,
        ),
        default=None,
    )
