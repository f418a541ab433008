"""StoredImage, and the row that it is made of."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.diffusion.named_files import digest_of
from core.diffusion.recipe.variations import VariationError, parent_of
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory
from core.runs.store.rows import (
    read_number,
    read_object,
    read_runnable,
    read_text,
    read_whole,
)

RECORD_LEVELS = {"none": 0, "norms": 1, "latents": 2}
"""How much of a trajectory is kept; a higher level holds all that a lower one does."""


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """One stored picture. `created_at` in Unix seconds; `seconds` it took to compute.

    `computed` says how (device, dtype, rows in the batch, strict, versions). After an index was
    lost and made again from the pictures, `seconds` is 0 and there is no `clip_score`. `parent` is
    the digest of the picture that this one varies, "" where there is none.
    """

    digest: str
    settings: GenerationSettings
    created_at: float
    seconds: float
    computed: dict[str, Any]
    model_name: str
    model_fingerprint: str
    clip_score: float | None
    path: Path
    has_trajectory: bool
    parent: str


def image_row(
    *,
    settings: GenerationSettings,
    model_name: str,
    model_fingerprint: str,
    png: bytes,
    created_at: float,
    computed: Mapping[str, Any],
    recorded: int,
    seconds: float = 0.0,
    clip_score: float | None = None,
    digest: str = "",
) -> dict[str, Any]:
    """Column -> value, for a picture whose file is `png`. `recorded` is a record level, `digest`
    that of the settings, where it is known.
    """
    return {
        "digest": digest or digest_of(settings, model_fingerprint),
        "settings": json.dumps(settings.to_dict()),
        "search_key": search_key(settings.prompt),
        "scheduler": settings.scheduler,
        "model_name": model_name,
        "model_fingerprint": model_fingerprint,
        "created_at": created_at,
        "seconds": seconds,
        "computed": json.dumps(computed),
        "clip_score": clip_score,
        "file_sha256": hashlib.sha256(png).hexdigest(),
        "file_size": len(png),
        "recorded": recorded,
        "damaged": 0,
        "parent": parent_digest(settings, model_fingerprint),
    }


def write_row(connection: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    """Inserts a row of `image_row`, in place of one of the same digest."""
    columns, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT OR REPLACE INTO images ({columns}) VALUES ({marks})", dict(row))


def image_from(
    row: sqlite3.Row | Mapping[str, Any], path: Path, settings: GenerationSettings | None = None
) -> StoredImage:
    """What a row of `images` says of the picture at `path`; `settings` where they are known.

    Raises RowError.
    """
    score = row["clip_score"]
    return StoredImage(
        digest=read_text(row["digest"], "digest"),
        settings=settings or read_runnable(row["settings"]),
        created_at=read_number(row["created_at"], "time"),
        seconds=read_number(row["seconds"], "duration"),
        computed=read_object(row["computed"], "facts of its computing"),
        model_name=read_text(row["model_name"], "model's name"),
        model_fingerprint=read_text(row["model_fingerprint"], "model's fingerprint"),
        clip_score=None if score is None else read_number(score, "CLIP score"),
        path=path,
        has_trajectory=read_whole(row["recorded"], "record level") > RECORD_LEVELS["none"],
        parent=read_text(row["parent"] or "", "parent's digest"),
    )


def parent_digest(settings: GenerationSettings, model_fingerprint: str) -> str:
    """The digest of the picture that these settings vary, "" where they vary none. It follows
    from the settings alone, so that a genealogy outlives the index.
    """
    try:
        parent = parent_of(settings)
    except VariationError:
        return ""
    return digest_of(parent, model_fingerprint) if parent else ""


def search_key(text: str) -> str:
    """Return the prompt without case. A lone surrogate, which SQLite refuses, becomes a question
    mark.
    """
    return text.casefold().encode("utf-8", "replace").decode("utf-8")


def level_of(trajectory: Trajectory | None) -> int:
    """What RECORD_LEVELS says of a trajectory."""
    if trajectory is None:
        return RECORD_LEVELS["none"]
    return RECORD_LEVELS["norms" if trajectory.latents is None else "latents"]
