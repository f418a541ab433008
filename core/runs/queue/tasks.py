"""Tasks: named work that makes no stored image, as pages see it: only tables and files.

A page asks for one (the frames of a film, a run taken apart), polls its state and reads its
result, from any process. Results are files in the data folder; the oldest are forgotten.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings
from core.runs.queue.results import ResultError, read_result, write_result
from core.runs.queue.task_table import TASKS
from core.runs.store.database import explain_os_error
from core.runs.store.shelf import Shelf
from core.runs.store.store import Store

log = logging.getLogger(__name__)

KEPT = 48
"""How many results are remembered."""

KEPT_BYTES = 640 * 2**20
"""What they may take together: two of the largest runs taken apart, and some pictures."""

KEPT_ROWS = 500
KEPT_SOURCE_BYTES = 200 * 2**20
READ_AT_ONCE = 4
"""Results that stay in memory: a page reads its own at every rerun."""

WATCH_SECONDS = 10.0
"""A page that waits asks several times a second; what nobody asks after any more goes last."""

TaskWord = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """A task as it is asked for: the name of a row of TASKS, settings, and arguments of JSON.

    `fingerprint` is the model's, where one works: another model under the same name is another
    task.
    """

    name: str
    settings: GenerationSettings
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fingerprint: str = ""

    @property
    def key(self) -> str:
        """A digest of all of it: the same work has the same key in every session."""
        content = [self.name, self.settings.to_dict(), dict(self.arguments), self.fingerprint]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """Where a task stands. `reason` is there once it "failed"."""

    state: TaskWord
    done: int = 0
    total: int = 0
    reason: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class Tasks:
    """The tasks of one data folder, from any thread or process. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._database = store.database
        self._store = store
        folder = store.folder / "tasks"
        self._results = Shelf(folder, most_files=KEPT, most_bytes=KEPT_BYTES)
        self._sources = Shelf(folder / "sources", most_bytes=KEPT_SOURCE_BYTES)
        self._read: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, request: TaskRequest, owner: str = "", *, again: bool = False) -> None:
        """Ask for a task. One that is known is not asked again, unless it
        failed, was cancelled, or `again` says that its result is of no use any more: so a rerun
        of a page joins its own task. Raises ValueError for a name that TASKS does not have.
        """
        if request.name not in TASKS:
            raise ValueError(f"there is no task {request.name!r}")
        over = ["failed", "cancelled", *(["done"] if again else [])]
        is_forgotten = self._results.find(_file(request.key)) is None
        now = time.time()
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM tasks WHERE key = ? AND (state IN (SELECT value FROM json_each(?))"
                " OR (state = 'done' AND ?))",
                (request.key, json.dumps(over), is_forgotten),
            )
            connection.execute(
                "INSERT OR IGNORE INTO tasks (key, name, owner, settings, arguments, state,"
                " created_at, watched_until) VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?)",
                (
                    request.key,
                    request.name,
                    owner,
                    json.dumps(request.settings.to_dict()),
                    json.dumps(dict(request.arguments)),
                    now,
                    now + WATCH_SECONDS,
                ),
            )
            connection.execute(
                "DELETE FROM tasks WHERE finished_at IS NOT NULL AND key NOT IN (SELECT key FROM"
                " tasks WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT ?)",
                (KEPT_ROWS,),
            )

    def state(self, key: str) -> TaskState | None:
        """None for a key that was never asked for, or whose result was forgotten.

        Who asks looks at it: see `WATCH_SECONDS`. It writes at most once a second.
        """
        rows = self._database.read("SELECT * FROM tasks WHERE key = ?", (key,))
        if not rows:
            return None
        row = rows[0]
        found = TaskState(
            state=row["state"], done=row["done"], total=row["total"], reason=row["reason"]
        )
        if found.state == "done" and self._results.find(_file(key)) is None:
            return None
        now = time.time()
        if not found.is_over and row["watched_until"] < now + WATCH_SECONDS - 1:
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE tasks SET watched_until = ? WHERE key = ?", (now + WATCH_SECONDS, key)
                )
        return found

    def result(self, key: str) -> Any:
        """What a task that is done has found; the same object to all, not to be changed.

        None where it was forgotten meanwhile, which makes `state` None too.
        """
        rows = self._database.read("SELECT name FROM tasks WHERE key = ?", (key,))
        path = self._results.find(_file(key))
        row = TASKS.get(rows[0][0]) if rows else None
        if path is None or row is None:
            return None
        try:
            # The inode: a file that took another's place is another result.
            place = (key, path.stat().st_ino)
            with self._lock:
                if place not in self._read:
                    self._read[place] = read_result(path, row.results)
                self._read.move_to_end(place)
                while len(self._read) > READ_AT_ONCE:
                    self._read.popitem(last=False)
                return self._read[place]
        except (ResultError, OSError) as error:
            log.warning("The result of a task is lost: %s", error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def keep_result(self, key: str, result: Any) -> None:
        """Write what a task has found; the oldest results make room. Raises ResultError."""
        try:
            path = self._results.place(_file(key))
            write_result(result, path)
        except OSError as error:
            raise explain_os_error(error, self._store.folder) from error
        self._results.tidy(keep=[path])

    def forget_results(self) -> None:
        """Remove every result: an earlier version of the program may have made them."""
        with suppress(OSError):
            for path in self._results.folder.glob("*.npz*"):
                with suppress(OSError):
                    path.unlink()

    def cancel(self, key: str) -> None:
        """Stop a task before its next piece of work; one that is over stays as it is."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE tasks SET state = 'cancelled', finished_at = ?"
                " WHERE key = ? AND state IN ('waiting', 'running')",
                (time.time(), key),
            )

    def unfinished(self) -> list[str]:
        """The keys of the tasks that are not over, in the order of asking."""
        rows = self._database.read(
            "SELECT key FROM tasks WHERE state IN ('waiting', 'running') ORDER BY created_at, rowid"
        )
        return [row[0] for row in rows]

    def keep_source(self, source: np.ndarray) -> str:
        """Keep a picture, mask or latents that a task works on, and return its digest."""
        digest = input_digest(source)
        name = f"{digest}.npy"
        if self._sources.find(name) is None:
            buffer = io.BytesIO()
            np.save(buffer, source, allow_pickle=False)
            try:
                path = self._sources.place(name)
                part = path.with_name(f"{name}.{threading.get_ident()}.part")
                part.write_bytes(buffer.getvalue())
                part.replace(path)
            except OSError as error:
                raise explain_os_error(error, self._store.folder) from error
            self._sources.tidy(keep=[path])
        return digest

    def source(self, digest: str) -> np.ndarray:
        """What `keep_source` or the store's inputs hold by this digest. Raises InputError."""
        path: Path | None = None
        if digest.isalnum():
            path = self._sources.find(f"{digest}.npy")
        if path is not None:
            with suppress(OSError, ValueError, EOFError):
                found: np.ndarray = np.load(path, allow_pickle=False)
                if input_digest(found) == digest:
                    return found
        return self._store.inputs.read(digest)


def _file(key: str) -> str:
    return f"{key}.npz"


__all__ = ["TaskRequest", "TaskState", "TaskWord", "Tasks"]
