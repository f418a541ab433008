"""Seeing named tasks through, whoever computes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from core.runs.queue.tasks import TaskRequest, Tasks
from core.runs.store.store import Store
from core.runs.worker.lock import FolderInUse
from core.runs.worker.worker import Worker

POLL_SECONDS = 0.2


class TaskError(RuntimeError):
    """A task that failed or was stopped; the message says why."""


def run_tasks(store: Store, requests: Sequence[TaskRequest]) -> list[Any]:
    """The results of tasks in their order, by a worker of our own or by the one that holds the
    folder. Raises TaskError and StoreError.
    """
    if not requests:
        return []
    tasks, own = Tasks(store), Worker(store)
    worker: Worker | None = None
    with suppress(FolderInUse):
        own.start()
        worker = own
    try:
        return [_result(tasks, request) for request in requests]
    finally:
        if worker is not None:
            worker.stop()


def _result(tasks: Tasks, request: TaskRequest) -> Any:
    tasks.submit(request)
    while (state := tasks.state(request.key)) is None or not state.is_over:
        time.sleep(POLL_SECONDS)
        if state is None:
            tasks.submit(request)
    if state.state != "done" or (found := tasks.result(request.key)) is None:
        raise TaskError(f"{request.name}: {state.reason or state.state}")
    return found
