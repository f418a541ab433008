"""TaskRunner: named tasks from their table, on the model between two steps or in a pool of threads.

What needs the model in memory runs on the worker's thread, a piece at a time; what needs none
never does. Imports no torch.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from core.diffusion.models.load import ModelError
from core.diffusion.recipe.images import InputError
from core.diffusion.sampling.compute.threads import Threads
from core.diffusion.settings import GenerationSettings, SettingsError
from core.runs.queue.results import ResultError
from core.runs.queue.task_table import TASKS
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store, StoreError
from core.runs.worker.model.slot import ModelSlot
from core.runs.worker.model.source import first_line
from core.runs.worker.tasks.rows import TaskRow, TaskRows, TaskWord
from core.runs.worker.tasks.under_way import TaskUnderWay, looked_at, of_one_model
from core.runs.worker.tasks.work import InPool, OnModel, TaskContext, TaskError, Work
from core.runs.worker.turns import OwnerTurns

if TYPE_CHECKING:
    from core.diffusion.models.load import LoadedModel

log = logging.getLogger(__name__)

POOL_THREADS = 2
WRITES_PER_SECOND = 10
STOP_SECONDS = 5.0


class TaskRunner:
    """Runs tasks on the worker's thread, unless a method says otherwise.

    Owners take turns, a piece of work each; an owner's own tasks run in the order of asking, and
    those that someone still looks at come before all others. Two models never take turns, since
    each turn would load one. Raises StoreError.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = TaskRows(store)
        self._results = Tasks(store)
        self._tasks: dict[str, TaskUnderWay] = {}
        self._lock = threading.RLock()
        self._turns = OwnerTurns()
        self._in_hand: TaskUnderWay | None = None
        """Chosen by `waiting`, so that the model is loaded for the task that then gets it."""
        self._pool = Threads(POOL_THREADS, "lightbox-task")
        self._writer = Threads(1, "lightbox-result")
        self._in_pool = 0
        self._unwritten: dict[str, tuple[TaskWord, str]] = {}
        """Ends that could not be written down (a full disk), until they can."""
        self._is_stopping = False

    def follow(self) -> None:
        """Learn from the table what was asked for, what was cancelled and what is looked at."""
        self.write_ends()
        rows = {row.key: row for row in self._rows.unfinished()}
        with self._lock:
            for key, row in rows.items():
                if key not in self._tasks:
                    self._add(row)
                else:
                    self._tasks[key].watched_until = row.watched_until
            for key in [key for key in self._tasks if key not in rows]:
                self._drop(self._tasks.pop(key))
        self._feed_pool()

    def waiting(self) -> str | None:
        """The model that the next piece of work needs; None where there is nothing to do, or where
        the task in hand was cancelled.
        """
        if self._in_hand is None:
            self._in_hand = self._next()
        elif self._in_hand.is_cancelled:
            self._in_hand = None
        return self._in_hand.source if self._in_hand else None

    def fail_next(self, reason: str) -> None:
        """End the task in hand, whose model cannot be loaded."""
        task, self._in_hand = self._in_hand, None
        if task is not None:
            self._end(task, "failed", reason)

    def advance(self, slot: ModelSlot) -> None:
        """Do one piece of the task in hand, on the model in memory."""
        task, self._in_hand = self._in_hand, None
        if task is None or task.is_cancelled or slot.model is None:
            return
        with self._lock:
            self._turns.serve(task.owner)
        task.has_model = True
        self._piece(task, slot.model)
        self._feed_pool()

    def restart(self) -> None:
        """The model was let go of: a task that holds it begins again with the next one."""
        with self._lock:
            for task in self._tasks.values():
                if task.has_model and task.is_free:
                    self._close(task)
                    task.source = self._first_source(task.row)

    def write_ends(self) -> None:
        """Write down what could not be written before."""
        with self._lock:
            unwritten = list(self._unwritten.items())
        for key, (state, reason) in unwritten:
            self._rows.end(key, state, reason)
            with self._lock:
                self._unwritten.pop(key, None)
                self._tasks.pop(key, None)

    def stop(self) -> None:
        """End after the pieces in hand; what is not over waits for the next worker."""
        self._is_stopping = True
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                if not any(task.is_in_pool or task.is_ending for task in self._tasks.values()):
                    break
            time.sleep(0.01)
        self._rows.release()

    def _add(self, row: TaskRow) -> None:
        if row.name not in TASKS:
            self._unwritten[row.key] = ("failed", f"This version has no task “{row.name}”.")
            return
        task = TaskUnderWay(
            row=row, source=self._first_source(row), watched_until=row.watched_until
        )
        self._tasks[row.key] = task

    @staticmethod
    def _first_source(row: TaskRow) -> str | None:
        return row.model if TASKS[row.name].needs_model else None

    def _drop(self, task: TaskUnderWay) -> None:
        task.is_cancelled = True
        if not task.is_in_pool:
            self._close(task)

    @staticmethod
    def _close(task: TaskUnderWay) -> None:
        work, task.work = task.work, None
        task.has_model = task.is_asking = False
        if work is not None:
            work.close()

    def _next(self) -> TaskUnderWay | None:
        """Whose turn it is on the model."""
        with self._lock:
            waiting = [
                task for task in self._tasks.values() if task.source is not None and task.is_free
            ]
            return self._chosen(of_one_model(looked_at(waiting)))

    def _chosen(self, tasks: list[TaskUnderWay]) -> TaskUnderWay | None:
        """The first task of the owner who was served longest ago. Called with the lock held."""
        return min(tasks, key=lambda task: self._turns.last_served(task.owner), default=None)

    def _piece(self, task: TaskUnderWay, model: LoadedModel | None) -> None:
        """Do one piece, in the thread that may: the worker's with a model, the pool's without."""
        try:
            if task.work is None:
                task.work = self._begin(task.row, model)
                said = next(task.work)
            elif task.is_asking:
                task.is_asking = False
                said = task.work.send(model)
            else:
                said = next(task.work)
        except StopIteration as end:
            self._keep(task, end.value)
        except (TaskError, ModelError, SettingsError, InputError, StoreError) as error:
            self._end(task, "failed", str(error))
        except Exception as error:
            self._fail_unexpectedly(task, error)
        else:
            try:
                self._hear(task, said)
            except StoreError:
                raise
            except Exception as error:  # what it yielded is nothing that a task may yield
                self._fail_unexpectedly(task, error)

    def _fail_unexpectedly(self, task: TaskUnderWay, error: Exception) -> None:
        log.exception("The task %s failed", task.row.name)
        reason = f"It stopped on an unexpected error: {first_line(error)}."
        self._end(task, "failed", reason)

    def _begin(self, row: TaskRow, model: LoadedModel | None) -> Work:
        settings = GenerationSettings.from_dict(row.settings)
        if model is not None and settings.vae:
            from core.diffusion.models.vae.loading import model_for

            model = model_for(model, settings)
        context = TaskContext(store=self._store, source=self._results.source, model=model)
        return TASKS[row.name].load()(context, settings, **row.arguments)

    def _hear(self, task: TaskUnderWay, said: tuple[int, int] | OnModel | InPool) -> None:
        if isinstance(said, OnModel):
            task.source, task.is_asking, task.has_model = said.source, True, False
        elif isinstance(said, InPool):
            task.source, task.has_model = None, False
        elif time.monotonic() - task.written >= 1 / WRITES_PER_SECOND:
            task.written = time.monotonic()
            self._rows.progress(task.row.key, *said)

    def _keep(self, task: TaskUnderWay, result: Any) -> None:
        """Have the result written: a large one takes as long as some steps."""
        with self._lock:
            task.work, task.has_model, task.is_ending = None, False, True
        self._writer.submit(self._write, task, result)

    def _write(self, task: TaskUnderWay, result: Any) -> None:
        try:
            self._results.keep_result(task.row.key, result)
        except (StoreError, ResultError) as error:
            self._end(task, "failed", str(error))
        except Exception as error:
            log.exception("A result could not be written")
            self._end(task, "failed", f"Its result could not be kept: {first_line(error)}.")
        else:
            self._end(task, "done", "")
        finally:
            self._store.close()

    def _end(self, task: TaskUnderWay, state: TaskWord, reason: str) -> None:
        """End a task, from any thread: the worker's writes what another could not."""
        with self._lock:
            task.is_cancelled = True
            if task.work is not None and state != "done":
                self._close(task)
        try:
            self._rows.end(task.row.key, state, reason)
        except StoreError as error:
            log.error("%s", error)
            with self._lock:
                self._unwritten[task.row.key] = (state, reason)
        else:
            with self._lock:
                if self._tasks.get(task.row.key) is task:
                    del self._tasks[task.row.key]

    def _feed_pool(self) -> None:
        with self._lock:
            free = POOL_THREADS - self._in_pool
            for _ in range(min(free, len(self._for_pool()))):
                self._in_pool += 1
                self._pool.submit(self._serve_pool)

    def _for_pool(self) -> list[TaskUnderWay]:
        """What a thread of the pool may take. Called with the lock held."""
        if self._is_stopping:
            return []
        return [task for task in self._tasks.values() if task.source is None and task.is_free]

    def _serve_pool(self) -> None:
        """Work in a thread of the pool: pieces, owner by owner, until there are none."""
        try:
            while (task := self._take()) is not None:
                try:
                    self._piece(task, None)
                except StoreError as error:
                    self._end(task, "failed", str(error))
                finally:
                    with self._lock:
                        task.is_in_pool = False
                        if task.is_cancelled:
                            self._close(task)
        finally:
            self._store.close()

    def _take(self) -> TaskUnderWay | None:
        with self._lock:
            task = self._chosen(looked_at(self._for_pool()))
            if task is None:
                self._in_pool -= 1
                return None
            task.is_in_pool = True
            self._turns.serve(task.owner)
            return task
