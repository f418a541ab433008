"""What the queue and the worker both do to the tables, inside a transaction of theirs."""

from __future__ import annotations

import sqlite3
import time

KEPT_JOBS = 500
"""Finished jobs that are remembered. Their images stay in the store whatever happens here."""

SMALL_JOB_CELLS = 4
"""Inside one owner, jobs up to this size go before larger ones: nobody waits for a sweep."""

JOB_ORDER = f"(jobs.total_cells > {SMALL_JOB_CELLS}), jobs.created_at, jobs.rowid"

WATCH_SECONDS = 3.0


def settle(connection: sqlite3.Connection, job_id: str) -> None:
    """Brings a job's state in line with its cells'.

    A job is over when none of its cells waits or runs: cancelled if one was, failed if none is
    done, else done.
    """
    rows = connection.execute(
        "SELECT state, COUNT(*) FROM cells WHERE job_id = ? GROUP BY state", (job_id,)
    )
    counts: dict[str, int] = dict(map(tuple, rows))
    begun = connection.execute("SELECT started_at FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if counts.get("pending") or counts.get("running"):
        is_begun = begun[0] is not None or any(state != "pending" for state in counts)
        state = "running" if is_begun else "pending"
    elif counts.get("cancelled"):
        state = "cancelled"
    else:
        state = "done" if counts.get("done") else "failed"
    is_over = state in ("cancelled", "failed", "done")
    is_begun = is_over or state == "running"
    now = time.time()
    connection.execute(
        "UPDATE jobs SET state = :state,"
        " started_at = CASE WHEN :begun THEN COALESCE(started_at, :now) END,"
        " finished_at = CASE WHEN :over THEN COALESCE(finished_at, :now) END WHERE id = :id",
        {"state": state, "begun": is_begun, "over": is_over, "now": now, "id": job_id},
    )


def prune(connection: sqlite3.Connection) -> None:
    """Forgets the jobs that ended before the newest KEPT_JOBS, and what belongs to none."""
    connection.execute(
        "DELETE FROM jobs WHERE finished_at IS NOT NULL AND id NOT IN (SELECT id FROM jobs"
        " WHERE finished_at IS NOT NULL ORDER BY finished_at DESC, rowid DESC LIMIT ?)",
        (KEPT_JOBS,),
    )
    connection.execute("DELETE FROM watching WHERE job_id NOT IN (SELECT id FROM jobs)")
    connection.execute(
        "DELETE FROM previews WHERE digest NOT IN"
        " (SELECT digest FROM cells WHERE state = 'running')"
    )
