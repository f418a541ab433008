"""The jobs of sweeps: which one computes the grid in view, which others run, and how fast."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import streamlit as st

from core.diffusion.models import ModelError, ModelInfo, describe
from core.diffusion.settings import GenerationSettings
from core.runs.jobs import Job
from core.runs.queue import Queue
from core.runs.store import Store
from core.sweeps.plan import Plan, work_of
from core.sweeps.sweep import Sweep
from ui.runtime import Runtime, owner_id
from ui.sweep_form import PREFIX, take_sweep
from ui.views import plain

JOB = f"{PREFIX}:job"
SWEEPS = f"{PREFIX}:sweeps"
"""Job id -> sweep, of those that this session has submitted."""

LABEL = "Sweep: "
"""How the label of a sweep's job begins, by which it is found again after a reload."""

MEASURED_JOBS = 8


def label_of(sweep: Sweep) -> str:
    axes = " × ".join(axis.label() for axis in sweep.axes().values())
    return f"{LABEL}{axes}: {sweep.base.prompt}"[:120]


def is_sweep(job: Job) -> bool:
    return job.label.startswith(LABEL)


def current_job(runtime: Runtime, plan: Plan) -> Job | None:
    """The newest job of this browser that computes, or computed, cells of this grid."""
    wanted = set(plan.digests)
    known: str | None = st.session_state.get(JOB)
    jobs = [job] if known and (job := runtime.queue.job(known)) else []
    jobs += [
        job
        for job in runtime.queue.jobs(owner=owner_id(), limit=MEASURED_JOBS)
        if is_sweep(job) and job.id != known
    ]
    for job in jobs:
        if any(cell.digest in wanted for cell in runtime.queue.cells(job.id)):
            return job
    return None


def show_others(runtime: Runtime, here: Job | None) -> None:
    """Sweeps of this browser that run while the controls say something else."""
    sweeps: dict[str, Sweep] = st.session_state.get(SWEEPS, {})
    for job in runtime.queue.jobs(owner=owner_id(), active_only=True):
        if not is_sweep(job) or (here is not None and job.id == here.id):
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            words = f"Also running: {job.label.removeprefix(LABEL)}"
            st.caption(f"{plain(words)}, {job.done_cells} of {job.total_cells}", width="stretch")
            if job.id in sweeps:
                st.button(
                    "Show",
                    key=f"{PREFIX}:show:{job.id}",
                    icon=":material/visibility:",
                    on_click=take_sweep,
                    args=(sweeps[job.id],),
                )
            st.button(
                "Stop",
                key=f"{PREFIX}:stop:{job.id}",
                icon=":material/stop_circle:",
                on_click=runtime.queue.cancel,
                args=(job.id,),
            )


def measured_speed(runtime: Runtime) -> float | None:
    """UNet rows times pixels a second, of the newest jobs that computed anything."""
    for job in runtime.queue.jobs(limit=MEASURED_JOBS):
        if job.is_over and (speed := _speed(runtime.queue, runtime.store, job.id)):
            return speed
    return None


@st.cache_data(show_spinner=False, max_entries=64)
def _speed(_queue: Queue, _store: Store, job_id: str) -> float | None:
    job = _queue.job(job_id)
    if job is None or job.started_at is None or job.finished_at is None:
        return None
    seconds = job.finished_at - job.started_at
    made: list[GenerationSettings] = []
    for cell in _queue.cells(job_id):
        image = _store.get(cell.digest) if cell.state == "done" and cell.digest else None
        if image is not None and image.created_at >= job.started_at:
            made.append(image.settings)
    work = work_of(made, _infos(made))
    return work / seconds if work and seconds > 0 else None


def _infos(made: Iterable[GenerationSettings]) -> dict[str, ModelInfo]:
    infos: dict[str, ModelInfo] = {}
    for source in {settings.model for settings in made}:
        with suppress(ModelError):
            infos[source] = describe(source)
    return infos
