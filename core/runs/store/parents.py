"""Parents of pictures that were stored before their table had a column for them."""

from __future__ import annotations

from contextlib import suppress

from core.runs.store.database import Database
from core.runs.store.rows import RowError, read_settings
from core.runs.store.stored_image import parent_digest


def look_up_parents(database: Database) -> None:
    """Fill the column `parent` where it is empty."""
    sql = "SELECT digest, settings, model_fingerprint FROM images WHERE parent IS NULL"
    parents: list[tuple[str, str]] = []
    for row in database.read(sql):
        with suppress(RowError):  # named wherever it is asked for
            settings = read_settings(row["settings"])
            parents.append((parent_digest(settings, row["model_fingerprint"]), row["digest"]))
    if parents:
        with database.write() as connection:
            connection.executemany("UPDATE images SET parent = ? WHERE digest = ?", parents)
