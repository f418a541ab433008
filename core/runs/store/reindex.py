"""A new index from the pictures of a folder: each carries nearly all that its row said."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from PIL import Image

from core.diffusion.named_files import walked_once
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import header_of
from core.runs.store.database import StoreError
from core.runs.store.files import Files
from core.runs.store.rows import UNREADABLE, RowError, Unreadable
from core.runs.store.stored_image import RECORD_LEVELS, image_row, write_row


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the picture files of a folder say: a row each, the oldest first, but for `strange`."""

    rows: tuple[dict[str, Any], ...]
    strange: tuple[Unreadable, ...]

    def write(self, connection: Connection) -> None:
        for row in self.rows:
            write_row(connection, row)


def read_pictures(files: Files, *, but: Collection[str] = ()) -> Found:
    """Read every picture but those of these digests. It takes a millisecond each, and no lock.

    One that is not what its name says (damaged, edited, of another version) stays where it is,
    without a row.
    """
    rows: list[dict[str, Any]] = []
    strange: list[Unreadable] = []
    with walked_once():
        for path in files.pictures():
            if path.stem in but:
                continue
            try:
                rows.append(_row_of(path, files))
            except (OSError, SyntaxError, StoreError, *UNREADABLE) as error:
                strange.append(Unreadable(kind="picture", name=path.name, reason=_reason(error)))
    rows.sort(key=lambda row: row["created_at"])
    return Found(rows=tuple(rows), strange=tuple(strange))


def _row_of(path: Path, files: Files) -> dict[str, Any]:
    png = files.read(path)
    if png is None:
        raise RowError("its file went away")
    Image.open(io.BytesIO(png), formats=("PNG",)).verify()  # every chunk's checksum
    chunk = json.loads(Image.open(io.BytesIO(png), formats=("PNG",)).info["lightbox"])
    row = image_row(
        settings=GenerationSettings.from_dict(chunk["settings"]),
        model_name=str(chunk["model"]["name"]),
        model_fingerprint=str(chunk["model"]["fingerprint"]),
        png=png,
        created_at=path.stat().st_mtime,
        computed=dict(chunk["computed"]),
        recorded=_recorded(files.read(files.trajectory(path.stem))),
    )
    if row["digest"] != path.stem:
        raise RowError("its settings are not those that its name stands for")
    return row


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "it does not say how it was made"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _recorded(trajectory: bytes | None) -> int:
    """The record level of a safetensors file, by the names in its header."""
    try:
        data = trajectory or b""
        return RECORD_LEVELS["latents" if "latents" in header_of(data) else "norms"]
    except (ValueError, TypeError):
        return RECORD_LEVELS["none"]
