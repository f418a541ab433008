"""Tasks: work on the loaded model that makes no stored image, between the steps of the batch.

A page asks for one (the frames of a film, one UNet call taken apart), polls its state and reads
its result. Results live in memory; the oldest are forgotten. Imports no torch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from core.diffusion.models.load import ModelError
from core.diffusion.settings import SettingsError
from core.runs.worker.slot import ModelSlot, first_line

if TYPE_CHECKING:
    from core.diffusion.models.load import LoadedModel

log = logging.getLogger(__name__)

KEPT = 48
"""How many finished tasks are remembered."""

KEPT_BYTES = 640 * 2**20
"""What their results may take together: two of the largest runs taken apart, and some pictures."""

LOOKED_AT_SECONDS = 10.0
"""A page that waits asks several times a second; what nobody asks after any more goes last."""

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
    owner: str
    state: TaskState
    work: Work | None = None
    looked_at: float = 0.0


class Tasks:
    """Asked by any thread, carried on by the worker's alone.

    Owners take turns, a piece of work each; an owner's own tasks run in the order of asking, and
    those that someone still looks at come before all others. Two models never take turns, since
    each turn would load one.
    """

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, _Task] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: dict[str, int] = {}
        """Owner -> when it was last served, counted in pieces."""
        self._in_hand: _Task | None = None
        """Chosen by `waiting`, so that the model is loaded for the task that then gets it."""

    def submit(
        self, key: str, source: str, begin: Callable[[LoadedModel], Work], owner: str = ""
    ) -> None:
        """Asks for `begin(model)` of the model `source`. A key that is known is not asked again,
        unless it failed or was cancelled: so a rerun of a page joins its own task.
        """
        with self._lock:
            known = self._tasks.get(key)
            if known is not None and known.state.state not in ("failed", "cancelled"):
                return
            self._tasks[key] = _Task(
                source=source,
                begin=begin,
                owner=owner,
                state=TaskState(state="waiting"),
                looked_at=time.monotonic(),
            )
            self._tasks.move_to_end(key)
            self._forget()

    def state(self, key: str) -> TaskState | None:
        """None for a key that was never asked for, or was forgotten."""
        with self._lock:
            task = self._tasks.get(key)
            if task is None:
                return None
            task.looked_at = time.monotonic()
            if task.state.is_over:
                self._tasks.move_to_end(key)  # read again: the last to be forgotten
            return task.state

    def cancel(self, key: str) -> None:
        """Takes effect before its next piece of work; a task that is over stays as it is."""
        with self._lock:
            task = self._tasks.get(key)
            if task and not task.state.is_over:
                task.state = replace(task.state, state="cancelled")

    def waiting(self) -> str | None:
        """The model that the next piece of work needs; None where there is nothing to do, or where
        the task in hand was cancelled. For the worker's thread.
        """
        if self._in_hand is None:
            self._in_hand = self._next()
        elif self._in_hand.state.is_over:
            self._in_hand = None
        return self._in_hand.source if self._in_hand else None

    def fail_next(self, reason: str) -> None:
        """Ends the task in hand, whose model cannot be loaded."""
        task, self._in_hand = self._in_hand, None
        if task is not None:
            self._end(task, TaskState(state="failed", reason=reason))

    def advance(self, slot: ModelSlot) -> None:
        """One piece of the task in hand, on the model in memory. For the worker's thread."""
        task, self._in_hand = self._in_hand, None
        if task is None or task.state.is_over or slot.model is None:
            return
        self._turns[task.owner] = max(self._turns.values(), default=0) + 1
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

    def _next(self) -> _Task | None:
        """Whose turn it is; closes what was cancelled under way."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            if task.state.is_over and task.work is not None:
                task.work.close()
                task.work = None
        waiting = [task for task in tasks if not task.state.is_over]
        owners = {task.owner for task in waiting}
        self._turns = {owner: turn for owner, turn in self._turns.items() if owner in owners}
        recent = time.monotonic() - LOOKED_AT_SECONDS
        waiting = [task for task in waiting if task.looked_at >= recent] or waiting
        turns = _of_one_model(waiting)
        return min(turns, key=lambda task: self._turns.get(task.owner, 0), default=None)

    def _set(self, task: _Task, state: TaskState) -> None:
        with self._lock:
            if task.state.state != "cancelled":
                task.state = state

    def _end(self, task: _Task, state: TaskState) -> None:
        task.work = None
        self._set(task, state)
        with self._lock:
            name = next((name for name, one in self._tasks.items() if one is task), None)
            if name is not None:
                self._tasks.move_to_end(name)
                self._forget()

    def _forget(self) -> None:
        """Those read longest ago go, but never the newest. Called with the lock held."""
        over = [name for name, task in self._tasks.items() if task.state.is_over]
        size = sum(size_of(self._tasks[name].state.result) for name in over)
        for count, name in zip(range(len(over), 1, -1), over, strict=False):
            if count <= KEPT and size <= KEPT_BYTES:
                break
            size -= size_of(self._tasks.pop(name).state.result)


def _of_one_model(waiting: list[_Task]) -> list[_Task]:
    """Of tasks in their order, those that may take turns now: what is under way goes on, and no
    task begins on its model while one of another model has waited longer.
    """
    if not waiting:
        return []
    source = next((task.source for task in waiting if task.work is not None), waiting[0].source)
    others = (index for index, task in enumerate(waiting) if task.source != source)
    first_other = next(others, len(waiting))
    return [
        task
        for index, task in enumerate(waiting)
        if task.source == source and (task.work is not None or index < first_other)
    ]


def size_of(result: Any) -> int:
    """Bytes of the arrays and pictures of a result, which are nearly all of it."""
    if (size := getattr(result, "nbytes", None)) is not None:
        return int(size)
    if isinstance(result, Image.Image):
        return result.width * result.height * len(result.getbands())
    parts: Iterable[Any] = ()
    if is_dataclass(result):
        parts = vars(result).values()
    elif isinstance(result, dict):
        parts = result.values()
    elif isinstance(result, list | tuple):
        parts = result
    return sum(map(size_of, parts))
