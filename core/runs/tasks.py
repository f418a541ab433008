"""Tasks: work on the loaded model that makes no stored image, between the steps of the batch.

A page asks for one (the frames of a film, one UNet call taken apart), polls its state and reads
its result. Results live in memory; the oldest are forgotten. Imports no torch.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from core.diffusion.models import ModelError
from core.diffusion.settings import SettingsError
from core.runs.slot import ModelSlot, first_line

if TYPE_CHECKING:
    from core.diffusion.models import LoadedModel

log = logging.getLogger(__name__)

KEPT = 48
"""How many finished tasks are remembered."""

Work = Generator[tuple[int, int], None, Any]
"""Yields (done, total) about every tenth of a second; what it returns is the task's result."""


class TaskError(Exception):
    """A task that cannot go on, in words for the person who asked for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskState:
    """Where a task stands. `result` is there once it is "done", `reason` once it "failed"."""

    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int = 0
    total: int = 0
    result: Any = None
    reason: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


@dataclass(eq=False)
class _Task:
    source: str
    begin: Callable[[LoadedModel], Work]
    state: TaskState
    work: Work | None = None


class Tasks:
    """Asked by any thread, carried on by the worker's alone, one after another."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, _Task] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, key: str, source: str, begin: Callable[[LoadedModel], Work]) -> None:
        """Asks for `begin(model)` of the model `source`. A key that is known is not asked again,
        unless it failed or was cancelled: so a rerun of a page joins its own task.
        """
        with self._lock:
            known = self._tasks.get(key)
            if known is not None and known.state.state not in ("failed", "cancelled"):
                if known.state.is_over:
                    self._tasks.move_to_end(key)  # read again: the last to be forgotten
                return
            self._tasks[key] = _Task(source=source, begin=begin, state=TaskState(state="waiting"))
            self._tasks.move_to_end(key)
            over = [name for name, task in self._tasks.items() if task.state.is_over]
            for name in over[: max(len(over) - KEPT, 0)]:
                del self._tasks[name]

    def state(self, key: str) -> TaskState | None:
        """None for a key that was never asked for, or was forgotten."""
        with self._lock:
            task = self._tasks.get(key)
            return task.state if task else None

    def cancel(self, key: str) -> None:
        """Takes effect before its next piece of work; a task that is over stays as it is."""
        with self._lock:
            task = self._tasks.get(key)
            if task and not task.state.is_over:
                task.state = replace(task.state, state="cancelled")

    def waiting(self) -> str | None:
        """The model that the next piece of work needs; None where there is nothing to do."""
        task = self._current()
        return task.source if task else None

    def fail_next(self, reason: str) -> None:
        """Ends the task in hand, whose model cannot be loaded."""
        if task := self._current():
            self._end(task, TaskState(state="failed", reason=reason))

    def advance(self, slot: ModelSlot) -> None:
        """One piece of the task in hand, on the model in memory. For the worker's thread."""
        task = self._current()
        if task is None or slot.model is None:
            return
        try:
            if task.work is None:
                task.work = task.begin(slot.model)
            done, total = next(task.work)
        except StopIteration as end:
            self._end(task, TaskState(state="done", result=end.value))
        except (TaskError, ModelError, SettingsError) as error:
            self._end(task, TaskState(state="failed", reason=str(error)))
        except Exception as error:
            log.exception("A task failed")
            reason = f"It stopped on an unexpected error: {first_line(error)}."
            self._end(task, TaskState(state="failed", reason=reason))
        else:
            self._set(task, TaskState(state="running", done=done, total=total))

    def restart(self) -> None:
        """The model was let go of: a task under way begins anew with the next one."""
        for task in list(self._tasks.values()):
            if task.work is not None:
                task.work.close()
                task.work = None

    def _current(self) -> _Task | None:
        """The first that is not over; closes what was cancelled under way."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            if task.state.is_over and task.work is not None:
                task.work.close()
                task.work = None
        return next((task for task in tasks if not task.state.is_over), None)

    def _set(self, task: _Task, state: TaskState) -> None:
        with self._lock:
            if task.state.state != "cancelled":
                task.state = state

    def _end(self, task: _Task, state: TaskState) -> None:
        task.work = None
        self._set(task, state)
