"""TaskUnderWay: a task that the worker has taken up, and which of them comes next."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.runs.worker.tasks.rows import TaskRow
from core.runs.worker.tasks.work import Work


@dataclass(eq=False)
class TaskUnderWay:
    """A task and how far it is. Its fields are changed under the runner's lock."""

    row: TaskRow
    source: str | None
    """The model that its next piece needs; None for the pool."""
    work: Work | None = None
    has_model: bool = False
    is_asking: bool = False
    """It has yielded OnModel, and is sent the model next."""
    is_in_pool: bool = False
    """A thread of the pool has it in hand."""
    is_ending: bool = False
    """Its work is done, and its result is being written."""
    is_cancelled: bool = False
    written: float = float("-inf")
    watched_until: float = 0.0

    @property
    def owner(self) -> str:
        return self.row.owner

    @property
    def is_free(self) -> bool:
        """Return whether a thread may take it in hand."""
        return not (self.is_in_pool or self.is_ending or self.is_cancelled)


def looked_at(tasks: list[TaskUnderWay]) -> list[TaskUnderWay]:
    """Those that someone looks at, or all where nobody looks at any."""
    now = time.time()
    return [task for task in tasks if task.watched_until >= now] or tasks


def of_one_model(waiting: list[TaskUnderWay]) -> list[TaskUnderWay]:
    """Return, of tasks in their order, those that may take turns now: what is under way goes on,
    and no task begins on its model while one of another model has waited longer.
    """
    if not waiting:
        return []
    source = next((task.source for task in waiting if task.has_model), waiting[0].source)
    others = (index for index, task in enumerate(waiting) if task.source != source)
    first_other = next(others, len(waiting))
    return [
        task
        for index, task in enumerate(waiting)
        if task.source == source and (task.has_model or index < first_other)
    ]
