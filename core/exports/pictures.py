"""Stored pictures of any kind as one archive, with a table of what made them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

from core.exports.files import add_file, picture_name, stored_bytes
from core.output.figures.step_table import write_rows_csv
from core.runs.store.opinions.ratings import Rating
from core.runs.store.store import StoredImage


def write_pictures_zip(
    images: Sequence[StoredImage], ratings: Mapping[str, Rating] | None = None
) -> bytes:
    """The stored PNG files, byte for byte, and `settings.csv`: a row a picture, with its file's
    name, or none where the file is gone. `ratings` by digest are in the table alone.
    """
    buffer = io.BytesIO()
    rows: list[dict[str, object]] = []
    with zipfile.ZipFile(buffer, "w") as archive:
        for image in images:
            data = stored_bytes(image.path)
            name = picture_name(image.digest) if data is not None else ""
            if data is not None:
                add_file(archive, name, data)
            rating = (ratings or {}).get(image.digest, Rating())
            rows.append(
                {
                    "file": name,
                    "digest": image.digest,
                    "model name": image.model_name,
                    "seconds": image.seconds,
                    "clip_score": image.clip_score,
                    "stars": rating.stars,
                    "favourite": rating.is_favourite,
                    **image.settings.to_dict(),
                }
            )
        add_file(archive, "settings.csv", write_rows_csv(rows), compress=True)
    return buffer.getvalue()
