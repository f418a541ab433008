"""Job, Cell, WorkerStatus: what the tables say, as values."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from core.diffusion.settings import GenerationSettings
from core.runs.store.rows import read_number, read_settings, read_text

JobState = Literal["pending", "running", "done", "cancelled", "failed"]
CellState = Literal["pending", "running", "done", "failed", "cancelled"]
WorkerState = Literal["starting", "loading", "idle", "busy", "failed", "absent"]

DELETED = "deleted: compute again"
HEARTBEAT_LOST_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What was submitted in one click. Times in Unix seconds; steps are UNet calls of cells.

    `is_sweep`: a sweep was submitted with it, which any session can show.

    `seconds_left` is measured on this job's own steps; None until there is something to go by.
    """

    id: str
    owner: str
    label: str
    state: JobState
    created_at: float
    started_at: float | None
    finished_at: float | None
    total_cells: int
    done_cells: int
    failed_cells: int
    steps_done: int
    steps_total: int
    seconds_left: float | None
    error: str
    is_sweep: bool = False

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "cancelled", "failed")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One image of a job. `reason` says why it failed, or that its picture was deleted since."""

    job_id: str
    position: int
    settings: GenerationSettings
    digest: str | None
    state: CellState
    step: int
    total_steps: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class StoppedCell:
    """What a cancelled cell had come to: its last predicted x0 as a PNG, and after which call."""

    step: int
    total_steps: int
    png: bytes


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """The worker, in whichever process it runs. `waiting` counts the cells not yet begun."""

    alive: bool
    state: WorkerState
    device: str
    dtype: str
    model: str
    message: str
    waiting: int


_ACTIVE = "cells.state IN ('pending', 'running')"
JOBS = f"""SELECT jobs.id, owner, label, jobs.state, created_at, started_at, finished_at,
    total_cells, steps_per_second, jobs.sweep IS NOT NULL AS is_sweep,
    SUM(cells.state = 'done') AS done_cells,
    SUM(cells.state = 'failed') AS failed_cells,
    SUM(cells.step) AS steps_done,
    SUM(CASE WHEN {_ACTIVE} THEN cells.total_steps ELSE cells.step END) AS steps_total,
    (SELECT reason FROM cells WHERE job_id = jobs.id AND state = 'failed'
        ORDER BY position LIMIT 1) AS error
    FROM jobs JOIN cells ON cells.job_id = jobs.id"""


def job_from(row: sqlite3.Row) -> Job:
    """The job in a row of JOBS. Raises RowError."""
    for name in ("created_at", "started_at", "finished_at", "steps_per_second"):
        if row[name] is not None or name == "created_at":
            read_number(row[name], "time")
    for name in ("id", "owner", "label", "state"):
        read_text(row[name], name)
    left, pace = row["steps_total"] - row["steps_done"], row["steps_per_second"]
    is_measured = row["state"] == "running" and pace
    return Job(
        id=row["id"],
        owner=row["owner"],
        label=row["label"],
        state=row["state"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        total_cells=row["total_cells"],
        done_cells=row["done_cells"],
        failed_cells=row["failed_cells"],
        steps_done=row["steps_done"],
        steps_total=row["steps_total"],
        seconds_left=left / pace if is_measured else None,
        error=str(row["error"] or ""),
        is_sweep=bool(row["is_sweep"]),
    )


def cell_from(row: sqlite3.Row) -> Cell:
    """The cell in a row of `cells` with `is_stored`: whether its image is there.

    Raises RowError.
    """
    is_deleted = row["state"] == "done" and not row["is_stored"]
    return Cell(
        job_id=row["job_id"],
        position=row["position"],
        settings=read_settings(row["settings"]),
        digest=row["digest"],
        state=row["state"],
        step=row["step"],
        total_steps=row["total_steps"],
        reason=DELETED if is_deleted else row["reason"],
    )


def is_alive(row: sqlite3.Row) -> bool:
    """A fresh heartbeat; on this machine also a process of that number, where one can ask."""
    if time.time() - row["heartbeat"] > HEARTBEAT_LOST_SECONDS:
        return False
    if os.name == "posix" and row["host"] == socket.gethostname():
        try:
            os.kill(row["pid"], 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # it exists and is another user's
    return True
