"""Dispatch: the worker's side of the queue's tables. Imports no torch."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Mapping

from core.runs.queue.bookkeeping import prune, settle
from core.runs.store.rows import RowError
from core.runs.store.store import RECORD_LEVELS, Store
from core.runs.worker.waiting import LORAS, WAITING, BatchKey, Waiting, batch_key_from, waiting_from

log = logging.getLogger(__name__)

CRASHES_ALLOWED = 3

KEPT_STOPPED = 32_000_000
"""Bytes of stopped images that are kept, the newest."""

SET_ASIDE = (
    f"Set aside: the app stopped unexpectedly {CRASHES_ALLOWED} times while this image was being "
    "computed. It may need more memory than there is: try a smaller size, then retry."
)


class Dispatch:
    """Every change is one short transaction; each leaves cells and jobs in agreement."""

    def __init__(self, store: Store) -> None:
        self._database = store.database

    def recover(self) -> None:
        """Make what was running before a crash wait again; the third time it is set aside.

        Only for the holder of the folder's lock.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM previews")
            jobs = connection.execute(
                "UPDATE cells SET crashes = crashes + 1, step = 0,"
                " state = CASE WHEN crashes + 1 < :allowed THEN 'pending' ELSE 'failed' END,"
                " reason = CASE WHEN crashes + 1 < :allowed THEN reason ELSE :reason END"
                " WHERE state = 'running' RETURNING job_id",
                {"allowed": CRASHES_ALLOWED, "reason": SET_ASIDE},
            ).fetchall()
            self._settle(connection, jobs)
            prune(connection)

    def release(self) -> None:
        """What is running waits again, and nobody is blamed: the worker stops in good order."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM previews")
            jobs = connection.execute(
                "UPDATE cells SET state = 'pending', step = 0 WHERE state = 'running'"
                " RETURNING job_id"
            ).fetchall()
            self._settle(connection, jobs)

    def batch_keys(self) -> list[BatchKey]:
        """Return the keys of the cells that wait. Those that cannot be read fail."""
        rows = self._database.read(
            f"SELECT DISTINCT model, width, height, {LORAS} AS loras FROM cells"
            " WHERE state = 'pending'"
        )
        try:
            return [batch_key_from(row) for row in rows]
        except RowError:
            rows = self._database.read(WAITING.format(where=""))
            self._readable(rows)
            return self.batch_keys()

    def waiting(self, keys: Iterable[BatchKey], *, per_owner: int) -> list[Waiting]:
        """The next cells of each owner in these keys: small jobs first, then the oldest."""
        chosen = list(keys)
        marks = ", ".join(["(?, ?, ?, ?)"] * len(chosen))
        values = [
            value for key in chosen for value in (key.model, key.width, key.height, key.loras)
        ]
        where = f"AND (model, width, height, {LORAS}) IN (VALUES {marks})"
        rows = self._database.read(
            f"SELECT * FROM ({WAITING.format(where=where)}) WHERE rank < ? ORDER BY rank, owner",
            [*values, per_owner],
        )
        return self._readable(rows)

    def _readable(self, rows: Iterable[sqlite3.Row]) -> list[Waiting]:
        """Those that can be read; the others fail, each with its reason."""
        found: list[Waiting] = []
        bad: list[tuple[str, int]] = []
        for row in rows:
            try:
                found.append(waiting_from(row))
            except RowError as error:
                log.warning("A waiting image cannot be read: %s", error)
                bad.append((f"This image cannot be computed: {error}.", row["place"]))
        if bad:
            with self._database.write() as connection:
                for values in bad:
                    jobs = connection.execute(
                        "UPDATE cells SET state = 'failed', reason = ?"
                        " WHERE rowid = ? AND state = 'pending' RETURNING job_id",
                        values,
                    ).fetchall()
                    self._settle(connection, jobs)
        return found

    def running(self) -> dict[str, set[str]]:
        """Digest -> the jobs that want it, of every cell in flight."""
        rows = self._database.read("SELECT digest, job_id FROM cells WHERE state = 'running'")
        wanted: dict[str, set[str]] = {}
        for digest, job_id in rows:
            wanted.setdefault(digest, set()).add(job_id)
        return wanted

    def claim(self, cell: Waiting, digest: str) -> bool:
        """Marks a cell as running; False if it was cancelled in the meantime."""
        with self._database.write() as connection:
            claimed = connection.execute(
                "UPDATE cells SET state = 'running', digest = ?, step = 0, reason = ''"
                " WHERE job_id = ? AND position = ? AND state = 'pending'",
                (digest, cell.job_id, cell.position),
            )
            if claimed.rowcount:
                settle(connection, cell.job_id)
        return claimed.rowcount > 0

    def complete(self, digest: str, record: str) -> None:
        """Finishes every cell that waits for this image and no more than this record of it."""
        enough = [name for name, level in RECORD_LEVELS.items() if level <= RECORD_LEVELS[record]]
        with self._database.write() as connection:
            connection.execute("DELETE FROM previews WHERE digest = ?", (digest,))
            jobs = connection.execute(
                "UPDATE cells SET state = 'done', step = total_steps, reason = ''"
                " WHERE digest = ? AND state IN ('pending', 'running') AND job_id IN ("
                f"SELECT id FROM jobs WHERE record IN ({', '.join('?' * len(enough))}))"
                " RETURNING job_id",
                (digest, *enough),
            ).fetchall()
            self._settle(connection, jobs)

    def keep_stopped(
        self, digest: str, jobs: Iterable[str], step: int, total: int, png: bytes
    ) -> None:
        """Keep the last prediction of the cancelled cells of these jobs with this digest."""
        with self._database.write() as connection:
            for job_id in jobs:
                connection.execute(
                    "INSERT OR REPLACE INTO stopped SELECT job_id, position, ?, ?, ? FROM cells"
                    " WHERE job_id = ? AND digest = ? AND state = 'cancelled'",
                    (step, total, png, job_id, digest),
                )
            connection.execute(
                "DELETE FROM stopped WHERE rowid NOT IN (SELECT place FROM (SELECT rowid AS place,"
                " SUM(LENGTH(png)) OVER (ORDER BY rowid DESC) AS bytes FROM stopped)"
                " WHERE bytes <= ?)",
                (KEPT_STOPPED,),
            )

    def complete_cell(self, cell: Waiting, digest: str) -> None:
        """Finishes one waiting cell whose image is stored already."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE cells SET state = 'done', digest = ?, step = total_steps, reason = ''"
                " WHERE job_id = ? AND position = ? AND state = 'pending'",
                (digest, cell.job_id, cell.position),
            )
            settle(connection, cell.job_id)

    def fail(self, digest: str, reason: str) -> None:
        """Fails the cells in flight with this digest."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM previews WHERE digest = ?", (digest,))
            jobs = connection.execute(
                "UPDATE cells SET state = 'failed', reason = ?"
                " WHERE digest = ? AND state = 'running' RETURNING job_id",
                (reason, digest),
            ).fetchall()
            self._settle(connection, jobs)

    def fail_cell(self, cell: Waiting, reason: str) -> None:
        """Fails one waiting cell."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE cells SET state = 'failed', reason = ?"
                " WHERE job_id = ? AND position = ? AND state = 'pending'",
                (reason, cell.job_id, cell.position),
            )
            settle(connection, cell.job_id)

    def fail_model(self, source: str, reason: str) -> None:
        """Fails every waiting cell of a model that cannot be loaded."""
        with self._database.write() as connection:
            jobs = connection.execute(
                "UPDATE cells SET state = 'failed', reason = ?"
                " WHERE model = ? AND state = 'pending' RETURNING job_id",
                (reason, source),
            ).fetchall()
            self._settle(connection, jobs)

    def progress(
        self,
        steps: Mapping[str, tuple[int, int]],
        previews: Mapping[str, bytes],
        paces: Mapping[str, float],
    ) -> None:
        """Digest -> (step, total) and digest -> PNG of cells in flight; job -> steps a second."""
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE cells SET step = ?, total_steps = ? WHERE digest = ? AND state = 'running'",
                [(step, total, digest) for digest, (step, total) in steps.items()],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO previews VALUES (?, ?)", previews.items()
            )
            connection.executemany(
                "UPDATE jobs SET steps_per_second = ? WHERE id = ?",
                [(pace, job_id) for job_id, pace in paces.items()],
            )

    def watched(self) -> dict[str, float]:
        """Job -> until when (Unix seconds) someone looks at it."""
        return {row[0]: row[1] for row in self._database.read("SELECT job_id, until FROM watching")}

    def changes(self) -> int:
        """A number that differs when another thread or process has written."""
        return self._database.data_version()

    def write_status(
        self, *, state: str, device: str, dtype: str, model: str, message: str
    ) -> None:
        """The worker's sign of life, which `Queue.worker_status` reads."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO worker VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    os.getpid(),
                    socket.gethostname(),
                    state,
                    device,
                    dtype,
                    model,
                    message,
                    time.time(),
                ),
            )

    def leave(self) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM worker")

    @staticmethod
    def _settle(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> None:
        for job_id in {row[0] for row in rows}:
            settle(connection, job_id)
