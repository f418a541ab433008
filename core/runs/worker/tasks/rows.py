"""TaskRows: the worker's side of the table of named tasks. Imports no torch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.runs.queue.tasks import Tasks, TaskWord
from core.runs.store.store import Store

CRASHES_ALLOWED = 3
SET_ASIDE = (
    f"Set aside: the app stopped unexpectedly {CRASHES_ALLOWED} times while this was being "
    "computed. It may need more memory than there is: try a smaller size, then start again."
)


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task that is not over, as its row says. `watched_until` is in Unix seconds."""

    key: str
    name: str
    owner: str
    settings: Mapping[str, Any]
    arguments: Mapping[str, Any]
    watched_until: float

    @property
    def model(self) -> str:
        """The source of the model that its settings name."""
        return str(self.settings["model"])


class TaskRows:
    """Every change is one short transaction. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def recover(self) -> None:
        """Make what was running before a start wait again; the third time it is set aside. Results
        that an earlier process left are forgotten, since another version may have made them.

        Only for the holder of the folder's lock.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM tasks WHERE state = 'done'")
            connection.execute(
                "UPDATE tasks SET crashes = crashes + 1, done = 0, total = 0,"
                " state = CASE WHEN crashes + 1 < :allowed THEN 'waiting' ELSE 'failed' END,"
                " reason = CASE WHEN crashes + 1 < :allowed THEN '' ELSE :reason END,"
                " finished_at = CASE WHEN crashes + 1 < :allowed THEN NULL ELSE :now END"
                " WHERE state = 'running'",
                {"allowed": CRASHES_ALLOWED, "reason": SET_ASIDE, "now": time.time()},
            )
        Tasks(self._store).forget_results()

    def release(self) -> None:
        """What is running waits again, and none is counted as a crash."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE tasks SET state = 'waiting', done = 0, total = 0 WHERE state = 'running'"
            )

    def unfinished(self) -> list[TaskRow]:
        """Return the unfinished tasks in the order of asking."""
        rows = self._database.read(
            "SELECT * FROM tasks WHERE finished_at IS NULL ORDER BY created_at, rowid"
        )
        return [
            TaskRow(
                key=row["key"],
                name=row["name"],
                owner=row["owner"],
                settings=json.loads(row["settings"]),
                arguments=json.loads(row["arguments"]),
                watched_until=row["watched_until"],
            )
            for row in rows
        ]

    def progress(self, key: str, done: int, total: int) -> None:
        """Write how far a task is, unless it was cancelled meanwhile."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE tasks SET state = 'running', done = ?, total = ?"
                " WHERE key = ? AND state IN ('waiting', 'running')",
                (done, total, key),
            )

    def end(self, key: str, state: TaskWord, reason: str) -> None:
        """Write that a task is over, unless it was cancelled meanwhile."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE tasks SET state = ?, reason = ?, finished_at = ?"
                " WHERE key = ? AND state IN ('waiting', 'running')",
                (state, reason, time.time(), key),
            )
