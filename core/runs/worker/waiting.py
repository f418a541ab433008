"""Waiting cells, as the worker reads them: what one batch can hold, and how each was resolved."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.diffusion.events import Record
from core.diffusion.named_files import digest_of
from core.diffusion.settings import GenerationSettings
from core.runs.queue.bookkeeping import JOB_ORDER, SMALL_JOB_CELLS
from core.runs.queue.planned import Planned
from core.runs.store.rows import RowError, read_settings, read_text, read_whole
from core.runs.store.store import RECORD_LEVELS

# Of a cell; settings that were stored before there were any have none, damaged ones neither.
LORAS = (
    "CASE WHEN json_valid(cells.settings)"
    " THEN CAST(COALESCE(json_extract(cells.settings, '$.loras'), '') AS TEXT) ELSE '' END"
)


@dataclass(frozen=True, kw_only=True)
class BatchKey:
    """What one batch can hold: one model, one latent shape and one choice of LoRAs."""

    model: str
    width: int
    height: int
    loras: str = ""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A cell that could be begun. `rank` is its place among its owner's (0 is next)."""

    job_id: str
    position: int
    owner: str
    rank: int
    settings: GenerationSettings
    batch_key: BatchKey
    strict: bool
    record: Record
    is_small: bool
    crashes: int
    planned: Planned | None = None

    def digest(self, model_fingerprint: str) -> str:
        """Return the digest as it was resolved at submission, unless the model or a LoRA has
        changed since. Raises ValueError for text without a UTF-8 form.
        """
        if self.planned is not None and self.planned.is_current(model_fingerprint):
            return self.planned.digest
        return digest_of(self.settings, model_fingerprint)


WAITING = f"""SELECT cells.*, cells.rowid AS place, owner, strict, record, total_cells,
    {LORAS} AS loras,
    ROW_NUMBER() OVER (PARTITION BY owner ORDER BY {JOB_ORDER}, position) - 1 AS rank
    FROM cells JOIN jobs ON jobs.id = cells.job_id
    WHERE cells.state = 'pending' {{where}}"""


def batch_key_from(row: sqlite3.Row) -> BatchKey:
    """Raises RowError."""
    return BatchKey(
        model=read_text(row["model"], "model"),
        width=read_whole(row["width"], "width"),
        height=read_whole(row["height"], "height"),
        loras=read_text(row["loras"], "LoRAs"),
    )


def waiting_from(row: sqlite3.Row) -> Waiting:
    """Raises RowError."""
    written, record = read_text(row["settings"], "settings"), row["record"]
    settings = read_settings(written)
    if record not in RECORD_LEVELS:
        raise RowError("its record level is of another version, or damaged")
    digest, planned = row["digest"], row["planned"]
    return Waiting(
        job_id=read_text(row["job_id"], "job"),
        position=read_whole(row["position"], "position"),
        owner=read_text(row["owner"], "owner"),
        rank=row["rank"],
        settings=settings,
        batch_key=batch_key_from(row),
        strict=bool(row["strict"]),
        record=record,
        is_small=read_whole(row["total_cells"], "count of cells") <= SMALL_JOB_CELLS,
        crashes=read_whole(row["crashes"], "count of crashes"),
        planned=Planned.from_json(planned, written, settings, read_text(digest, "digest"))
        if planned is not None
        else None,
    )
