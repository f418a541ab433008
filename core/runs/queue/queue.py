"""Queue: jobs and their cells, as pages and the command line see them. Imports no torch."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from sqlite3 import Connection, Row
from typing import TYPE_CHECKING, TypeVar

from core.diffusion.events import Record
from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from core.runs.queue.bookkeeping import WATCH_SECONDS, prune, settle
from core.runs.queue.jobs import (
    JOBS,
    Cell,
    Job,
    StoppedCell,
    WorkerStatus,
    cell_from,
    is_alive,
    job_from,
)
from core.runs.queue.paces import Paces
from core.runs.queue.submission import new_cells
from core.runs.store.rows import UNREADABLE, RowError, read_object
from core.runs.store.store import RECORD_LEVELS, Store
from core.sweeps.pace import Pace
from core.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from core.diffusion.models.load import ModelInfo

__all__ = ["Cell", "Job", "Queue", "WorkerStatus"]

log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Queue:
    """Submits jobs and reads their progress: only tables, from any thread or process."""

    def __init__(self, store: Store, *, describe: Callable[[str], ModelInfo] = describe) -> None:
        self.store = store
        self._database = store.database
        self._describe = describe
        self._paces = Paces(store)

    def submit(
        self,
        settings: Sequence[GenerationSettings],
        *,
        owner: str,
        token: str,
        strict: bool = False,
        record: Record = "norms",
        label: str = "",
        sweep: Sweep | None = None,
        watched: bool = False,
    ) -> str:
        """Queues one job and returns its id; the same owner and token get the same job again.

        `sweep` is what these images are part of: any session can show it while the job is known.
        `watched` says that the one who asks looks at it, as `watch` does, from the first step on.

        Cells whose image is stored are done at once, also when it was computed in another way
        than `strict` asks (`StoredImage.computed` says which). Settings that cannot be run fail
        their own cell with the reason.
        """
        if not settings:
            raise ValueError("a job needs at least one image")
        if record not in RECORD_LEVELS:
            raise ValueError(f"record is one of {', '.join(RECORD_LEVELS)}, not {record!r}")
        token = token or uuid.uuid4().hex
        if known := self._job_of(owner, token):
            return known
        job_id = uuid.uuid4().hex
        cells = new_cells(self.store, self._describe, job_id, settings, record)
        with self._database.write() as connection:
            known = self._job_of(owner, token)
            if known:
                return known
            connection.execute(
                "INSERT INTO jobs (id, owner, token, label, state, strict, record, created_at,"
                " total_cells, sweep) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?)",
                (
                    *(job_id, owner, token, label, strict, record, time.time(), len(cells)),
                    json.dumps(sweep.to_dict()) if sweep else None,
                ),
            )
            connection.executemany(
                "INSERT INTO cells (job_id, position, settings, digest, model, width, height,"
                " state, step, total_steps, reason, planned) VALUES (:job_id, :position, :settings,"
                " :digest, :model, :width, :height, :state, :step, :total_steps, :reason,"
                " :planned)",
                cells,
            )
            settle(connection, job_id)
            if watched:
                _watch(connection, job_id)
            prune(connection)
        return job_id

    def job(self, job_id: str) -> Job | None:
        rows = self._database.read(f"{JOBS} WHERE jobs.id = ? GROUP BY jobs.id", (job_id,))
        return next(iter(_readable(rows, job_from)), None)

    def jobs(
        self, owner: str | None = None, active_only: bool = False, limit: int = 50
    ) -> list[Job]:
        """Newest first. What cannot be read is left out, and named in the log."""
        clauses = ["1"]
        if owner is not None:
            clauses.append("owner = :owner")
        if active_only:
            clauses.append("finished_at IS NULL")
        newest = (
            f"SELECT id FROM jobs WHERE {' AND '.join(clauses)}"
            " ORDER BY created_at DESC, rowid DESC LIMIT :limit"
        )
        rows = self._database.read(
            f"{JOBS} WHERE jobs.id IN ({newest}) GROUP BY jobs.id"
            " ORDER BY jobs.created_at DESC, jobs.rowid DESC",
            {"owner": owner, "limit": limit},
        )
        return _readable(rows, job_from)

    def cells(self, job_id: str) -> list[Cell]:
        """Return a job's cells in the order of submission, without those whose row cannot be read:
        the worker fails them, and the job says why.
        """
        rows = self._database.read(
            "SELECT cells.*, images.digest IS NOT NULL AS is_stored FROM cells"
            " LEFT JOIN images USING (digest) WHERE job_id = ? ORDER BY position",
            (job_id,),
        )
        return _readable(rows, cell_from)

    def sweep(self, job_id: str) -> Sweep | None:
        """The sweep that was submitted with a job; None where there was none."""
        rows = self._database.read("SELECT sweep FROM jobs WHERE id = ?", (job_id,))
        if not rows or rows[0][0] is None:
            return None
        try:
            return Sweep.from_dict(read_object(rows[0][0], "values"))
        except UNREADABLE:
            return None  # written by a version whose settings this one does not know

    def overlaps(self, digests: Collection[str]) -> dict[str, int]:
        """Job id -> how many of these images are among its cells, of each job that has any."""
        rows = self._database.read(
            "SELECT job_id, COUNT(DISTINCT digest) FROM cells"
            " WHERE digest IN (SELECT value FROM json_each(?)) GROUP BY job_id",
            (json.dumps(list(digests)),),
        )
        return {row[0]: row[1] for row in rows}

    def find_pace(self, model: ModelInfo, rows: int) -> Pace | None:
        """The pace of a model on this machine in batches of so many UNet rows, as measured."""
        return self._paces.find(model, rows)

    def seconds_ahead(self, job_id: str) -> float | None:
        """Return how long the images of other models that are in progress will take, for a job
        that waits for them; None for a job that does not, and where there is no pace to go by.
        """
        rows = self._database.read(
            "SELECT MAX(total_steps - step) AS steps, COUNT(*) AS count,"
            " (SELECT SUM(steps_per_second) FROM jobs WHERE state = 'running') AS pace"
            " FROM cells WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM cells AS own"
            " WHERE own.job_id = ? AND own.model = cells.model)",
            (job_id,),
        )
        steps, count, pace = rows[0]
        return steps * count / pace if count and pace else None

    def cancel(self, job_id: str) -> None:
        """Stop what waits or runs, within one denoising step; what is finished is kept."""
        with self._database.write() as connection:
            stopped = connection.execute(
                "UPDATE cells SET state = 'cancelled'"
                " WHERE job_id = ? AND state IN ('pending', 'running')",
                (job_id,),
            )
            if stopped.rowcount:
                settle(connection, job_id)

    def retry_failed(self, job_id: str) -> None:
        """Queues the job's failed cells again, with their count of crashes forgotten."""
        with self._database.write() as connection:
            again = connection.execute(
                "UPDATE cells SET state = 'pending', step = 0, reason = '', crashes = 0"
                " WHERE job_id = ? AND state = 'failed'",
                (job_id,),
            )
            if again.rowcount:
                connection.execute(
                    "UPDATE jobs SET finished_at = NULL, steps_per_second = NULL WHERE id = ?",
                    (job_id,),
                )
                settle(connection, job_id)

    def watch(self, job_id: str) -> None:
        """Say that someone looks at this job: previews are made for the next 3 seconds.

        Call it as often as you poll; it writes at most once a second.
        """
        now = time.time()
        until = self._database.read("SELECT until FROM watching WHERE job_id = ?", (job_id,))
        if until and now + WATCH_SECONDS - 1 < until[0][0] <= now + WATCH_SECONDS:
            return
        with self._database.write() as connection:
            _watch(connection, job_id)

    def preview(self, job_id: str, position: int) -> bytes | None:
        """The newest preview of a running cell: a PNG at latent size, to be shown larger."""
        rows = self._database.read(
            "SELECT png FROM previews JOIN cells USING (digest)"
            " WHERE job_id = ? AND position = ? AND state = 'running'",
            (job_id, position),
        )
        return bytes(rows[0][0]) if rows else None

    def stopped(self, job_id: str) -> dict[int, StoppedCell]:
        """Return what the stopped cells of a job had come to, by their position."""
        rows = self._database.read(
            "SELECT position, step, total, png FROM stopped WHERE job_id = ?", (job_id,)
        )
        return {
            position: StoppedCell(step=step, total_steps=total, png=bytes(png))
            for position, step, total, png in rows
        }

    def stopped_positions(self, job_id: str) -> set[int]:
        """Return the positions of the stopped cells of a job that `stopped` has, without them."""
        rows = self._database.read("SELECT position FROM stopped WHERE job_id = ?", (job_id,))
        return {position for (position,) in rows}

    def worker_status(self) -> WorkerStatus:
        waiting = self._database.read("SELECT COUNT(*) FROM cells WHERE state = 'pending'")[0][0]
        rows = self._database.read("SELECT * FROM worker")
        if not rows or not is_alive(rows[0]):
            return WorkerStatus(
                alive=False,
                state="absent",
                device="",
                dtype="",
                model="",
                message="No worker is running on this data folder: start the app.",
                waiting=waiting,
            )
        row = rows[0]
        return WorkerStatus(
            alive=row["state"] != "failed",
            state=row["state"],
            device=row["device"],
            dtype=row["dtype"],
            model=row["model"],
            message=row["message"],
            waiting=waiting,
        )

    def follow(self, job_id: str, *, every: float = 0.1) -> Iterator[Job]:
        """The job as it is, again and again, until it is over (or gone). For programs."""
        while (job := self.job(job_id)) is not None:
            yield job
            if job.is_over:
                return
            time.sleep(every)

    def _job_of(self, owner: str, token: str) -> str | None:
        rows = self._database.read(
            "SELECT id FROM jobs WHERE owner = ? AND token = ?", (owner, token)
        )
        return rows[0][0] if rows else None


def _readable(rows: Iterable[Row], read: Callable[[Row], _T]) -> list[_T]:
    found: list[_T] = []
    for row in rows:
        try:
            found.append(read(row))
        except RowError as error:
            log.warning("A row of the queue cannot be read: %s", error)
    return found


def _watch(connection: Connection, job_id: str) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO watching SELECT id, ? FROM jobs"
        " WHERE id = ? AND finished_at IS NULL",
        (time.time() + WATCH_SECONDS, job_id),
    )
