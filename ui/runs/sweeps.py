"""Sweeps among the jobs: how they are labelled, known again, and described."""

from __future__ import annotations

from core.runs.queue.jobs import Job
from core.sweeps.sweep import Sweep

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
