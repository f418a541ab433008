"""Worker: the one thread that drives the engine. Imports torch in that thread alone."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.diffusion.models.load import BUNDLED
from core.runs.queue.jobs import WorkerState
from core.runs.store.store import Store, StoreError, data_folder
from core.runs.worker.dispatch import Dispatch
from core.runs.worker.lock import FolderInUse, FolderLock
from core.runs.worker.model.source import LocalModels, ModelSource
from core.runs.worker.runner import Runner
from core.runs.worker.tasks.rows import TaskRows
from core.runs.worker.tasks.runner import TaskRunner
from core.runs.worker.vitals import Pulse, Vitals

if TYPE_CHECKING:
    pass

__all__ = ["FolderInUse", "Worker"]

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.05
HEARTBEAT_SECONDS = 2.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Status:
    state: WorkerState = "starting"
    device: str = ""
    dtype: str = ""
    model: str = ""
    message: str = ""


class Worker:
    """Drives one engine from the queue's tables, in a thread of its own.

    It holds the folder's lock while it runs and one model in memory. Whatever goes wrong with a
    cell, a model or the disk is written down as a reason; the thread goes on. `preload` names a
    model to load before anyone asks.
    """

    def __init__(
        self,
        store: Store,
        models: ModelSource | None = None,
        *,
        preload: str | None = None,
    ) -> None:
        self.store = store
        self.trouble, self.troubles = "", 0
        """What last kept the store from being written, and how often something did."""
        self._models = models or LocalModels(store.inputs.read)
        self._preload = preload
        self._dispatch = Dispatch(store)
        self._lock = FolderLock(store.folder)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._runner: Runner | None = None
        self._status = _Status()
        self._status_lock = threading.Lock()

    @classmethod
    def shared(cls, folder: Path | None = None) -> Worker:
        """The running worker of this process for a folder, made at the first call.

        Raises FolderInUse when another process has it, StoreError when the folder is unusable.
        """
        key = (folder or data_folder()).resolve()
        with _shared_lock:
            worker = _shared.get(key) or cls(Store(key), preload=BUNDLED)
            worker.start()
            if key not in _shared:
                _shared[key] = worker
                atexit.register(worker.stop, 5.0)
            return worker

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def vitals(self) -> Vitals:
        """Memory and pace at this moment; nothing of it is stored."""
        pulse = self._runner.pulse if self._runner is not None else Pulse()
        return pulse.read(self._status.device)

    def start(self) -> None:
        """Take the folder and start the thread; do nothing when it runs already."""
        with self._starting:
            if self.is_running:
                return
            self._lock.acquire()
            try:
                self.store.tidy()
                self._dispatch.recover()
                TaskRows(self.store).recover()
                self._stopping.clear()
                self._status = _Status()
                self._dispatch.write_status(**vars(self._status))
            except BaseException:
                self._lock.release()
                raise
            # Daemons: a step that hangs must not keep the program from ending.
            self._threads = [
                threading.Thread(target=self._run, name="lightbox-worker", daemon=True),
                threading.Thread(target=self._stay_alive, name="lightbox-heartbeat", daemon=True),
            ]
            for thread in self._threads:
                thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Ends after the step in hand, and its cells wait again; False if that took too long."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not self.is_running

    def _run(self) -> None:
        tasks = TaskRunner(self.store)
        runner = self._runner = Runner(self.store, self._dispatch, self._models, tasks, self._say)
        try:
            self._work(runner)
        finally:
            self._stopping.set()
            runner.arrivals.follow(())
            with suppress(StoreError):
                runner.put_back()
            with suppress(StoreError):
                tasks.stop()
            with suppress(StoreError), self._status_lock:
                self._dispatch.leave()
            self.store.close()
            self._lock.release()

    def _work(self, runner: Runner) -> None:
        is_first = self._preload is not None
        while not self._stopping.is_set():
            try:
                if is_first and self._preload is not None:
                    is_first = False
                    runner.preload(self._preload)
                if not runner.tick():
                    self._stopping.wait(IDLE_SECONDS)
            except StoreError as error:
                log.error("%s", error)
                self._note(error)
                self._pause(runner, str(error))
            except Exception as error:
                log.exception("The worker met an error of its own")
                if not runner.suspects.are_there:
                    runner.fail_in_flight(error)
                with suppress(StoreError):
                    runner.suspects.met(error)
                self._pause(runner, f"The worker met an unexpected error: {error}")

    def _pause(self, runner: Runner, why: str) -> None:
        """Nothing can be written down (a full disk, say): computing on would be for nothing."""
        with suppress(StoreError):
            self._say("failed", why)
        while not self._stopping.wait(RETRY_SECONDS):
            try:
                runner.put_back()
                return
            except StoreError as error:
                self._note(error)

    def _note(self, error: StoreError) -> None:
        self.trouble, self.troubles = str(error), self.troubles + 1

    def _say(self, state: WorkerState, message: str) -> None:
        """Tell the tables what the worker does, when that has changed."""
        model = self._runner.slot.model if self._runner else None
        status = _Status(
            state=state,
            device=str(model.device) if model else "",
            dtype=str(model.dtype).removeprefix("torch.") if model else "",
            model=model.info.name if model else "",
            message=message,
        )
        with self._status_lock:
            if status != self._status:
                self._status = status
                self._dispatch.write_status(**vars(status))

    def _stay_alive(self) -> None:
        """A step may take a minute: that the worker lives is said from another thread."""
        while not self._stopping.wait(HEARTBEAT_SECONDS):
            with suppress(StoreError), self._status_lock:
                if not self._stopping.is_set():
                    self._dispatch.write_status(**vars(self._status))
        self.store.close()


_shared: dict[Path, Worker] = {}
_shared_lock = threading.Lock()
