"""A new index from the pictures of a folder: each carries nearly all that its row said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.runs.store.database import Database, StoreError
from core.runs.store.files import Files
from core.runs.store.stored_image import RECORD_LEVELS, image_row, write_row


def reindex(database: Database, files: Files) -> None:
    """Gives every sound picture its row again.

    A picture that is not what its name says (damaged, edited, of another numerics version) stays
    where it is, without a row.
    """
    rows = [row for path in files.pictures() if (row := _row_of(path, files)) is not None]
    with database.write() as connection:
        for row in sorted(rows, key=lambda row: row["created_at"]):
            write_row(connection, row)


def _row_of(path: Path, files: Files) -> dict[str, Any] | None:
    try:
        png = files.read(path)
        if png is None:
            return None
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
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, StoreError):
        return None
    return row if row["digest"] == path.stem else None


def _recorded(trajectory: bytes | None) -> int:
    """The record level of a safetensors file, by the names in its header."""
    try:
        data = trajectory or b""
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return RECORD_LEVELS["latents" if "latents" in header else "norms"]
    except (ValueError, TypeError):
        return RECORD_LEVELS["none"]
