"""Seeing a job through, whoever computes it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence

from core.commands.console import ProgressLine, say
from core.diffusion.events import Record
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Cell
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.lock import FolderInUse
from core.runs.worker.worker import Worker

HOLDER_CHECK_SECONDS = 2.0


def compute(
    store: Store,
    settings: Sequence[GenerationSettings],
    *,
    strict: bool = False,
    record: Record = "norms",
    label: str,
) -> list[Cell]:
    """Submits one job, sees it through and returns its cells in order. Ctrl+C cancels it."""
    queue = Queue(store)
    job_id = queue.submit(
        settings,
        owner=f"command line {os.getpid()}",
        token=uuid.uuid4().hex,
        strict=strict,
        record=record,
        label=label,
    )
    _see_through(store, queue, job_id)
    return queue.cells(job_id)


def _see_through(store: Store, queue: Queue, job_id: str) -> None:
    """Wait for the job with a worker of our own, or with the one that holds the folder."""
    worker: Worker | None = None
    checked = float("-inf")
    line = ProgressLine()
    try:
        for job in queue.follow(job_id):
            if job.is_over:
                break
            if worker is None and time.monotonic() - checked > HOLDER_CHECK_SECONDS:
                # Again and again: the app that holds the folder may end before our job does.
                checked = time.monotonic()
                worker = _take_over(store)
            line.show(job, queue)
    except KeyboardInterrupt:
        queue.cancel(job_id)
        line.end()
        say("cancelled")
        raise
    finally:
        line.end()
        if worker is not None:
            worker.stop()


def _take_over(store: Store) -> Worker | None:
    """A worker of our own, or None while another process holds the folder."""
    worker = Worker(store)
    try:
        worker.start()
    except FolderInUse:
        return None
    return worker
