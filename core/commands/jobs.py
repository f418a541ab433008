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
from core.runs.queue.queue import Job, Queue
from core.runs.store.store import Store, StoreError
from core.runs.worker.lock import FolderInUse
from core.runs.worker.worker import Worker

HOLDER_CHECK_SECONDS = 2.0
PATIENCE = 3
"""How often the store may refuse to be written, with no cell done in between, before we give up."""


def compute(
    store: Store,
    settings: Sequence[GenerationSettings],
    *,
    strict: bool = False,
    record: Record = "norms",
    label: str,
) -> list[Cell]:
    """Submits one job, sees it through and returns its cells in order. Ctrl+C cancels it.

    Raises StoreError where the folder can no longer be written: the job is cancelled then, or the
    message says that it waits.
    """
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
    patience = _Patience()
    line = ProgressLine()
    try:
        for job in queue.follow(job_id):
            if job.is_over:
                break
            if worker is None and time.monotonic() - checked > HOLDER_CHECK_SECONDS:
                # Again and again: the app that holds the folder may end before our job does.
                checked = time.monotonic()
                worker = _take_over(store)
            if worker is not None and (trouble := patience.ends_with(worker, job)):
                raise StoreError(trouble)
            line.show(job, queue)
    except KeyboardInterrupt:
        left = _give_up(queue, job_id)
        line.end()
        say(left)
        raise
    except StoreError as error:
        raise StoreError(f"{error} {_give_up(queue, job_id).capitalize()}.") from error
    finally:
        line.end()
        if worker is not None:
            worker.stop()


def _give_up(queue: Queue, job_id: str) -> str:
    """Cancel the job, and say what became of it: a full disk may refuse that too."""
    again = "what is stored is kept: run the same command again"
    try:
        queue.cancel(job_id)
    except StoreError:
        return f"the job waits in the folder until the app or a command works there; {again}"
    return f"cancelled; {again}"


class _Patience:
    """How often our worker was kept from writing, since a cell last got done."""

    def __init__(self) -> None:
        self._done = 0
        self._troubles = 0

    def ends_with(self, worker: Worker, job: Job) -> str:
        """Why to give up now, "" to go on."""
        if job.done_cells > self._done:
            self._done, self._troubles = job.done_cells, worker.troubles
        return worker.trouble if worker.troubles - self._troubles >= PATIENCE else ""


def _take_over(store: Store) -> Worker | None:
    """A worker of our own, or None while another process holds the folder."""
    worker = Worker(store)
    try:
        worker.start()
    except FolderInUse:
        return None
    return worker
