"""Sweeps among the jobs: how they are labelled, known again, and described."""

from __future__ import annotations

from core.runs.queue.jobs import Job
from core.sweeps.sweep import Sweep
from ui.runtime import Runtime, owner_id

LOOK_BACK = 40
"""Jobs of a browser among which its last sweeps are looked for."""

LABEL = "Sweep: "
"""How the label of a sweep's job begins."""


def label_of(sweep: Sweep) -> str:
    """The label of the job that computes a sweep."""
    axes = " × ".join(axis.label() for axis in sweep.axes().values())
    return f"{LABEL}{axes}: {sweep.base.prompt}"[:120]


def is_sweep(job: Job) -> bool:
    """Return whether it computes a sweep, by which it is found again after a reload."""
    return job.is_sweep


def describe_sweep(sweep: Sweep) -> str:
    """ "Guidance scale (5) × Steps (4): a red apple"."""
    axes = [f"{axis.label()} ({len(axis.values)})" for axis in sweep.axes().values()]
    return f"{' × '.join(axes)}: {sweep.base.prompt or '(no prompt)'}"


def recent_sweeps(runtime: Runtime, most: int = 5) -> list[tuple[str, float, Sweep]]:
    """The last sweeps that were run in this browser, each once: a job's id, when it was submitted
    (Unix seconds) and its sweep, the newest first.
    """
    found: list[tuple[str, float, Sweep]] = []
    for job in runtime.queue.jobs(owner=owner_id(), limit=LOOK_BACK):
        sweep = runtime.queue.sweep(job.id) if is_sweep(job) else None
        if sweep is not None and all(sweep != other for _, _, other in found):
            found.append((job.id, job.created_at, sweep))
        if len(found) == most:
            break
    return found
