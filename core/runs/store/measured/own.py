"""The person's own numbers of pictures, by the name that they gave the measure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from core.runs.store.database import Database, StoreError
from core.runs.store.index import chunks
from core.runs.store.measured.kept import AT_ONCE

MAX_NAME = 40
"""Characters of a measure's name."""


class OwnNumbers:
    """Numbers that a person typed or imported. They stay with a picture's digest, whatever sweep
    it stands in, and when it is deleted and computed again. Raises StoreError.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, name: str, values: Mapping[str, float | None]) -> None:
        """Write the numbers of these digests; None takes one back. Raises StoreError for a name
        that is none, and for numbers that are not finite.
        """
        clean = " ".join(name.split())
        if not clean or len(clean) > MAX_NAME:
            raise StoreError(f"Give the measure a name of 1 to {MAX_NAME} characters.")
        if any(value is not None and not math.isfinite(value) for value in values.values()):
            raise StoreError("A number must be finite.")
        with self._database.write(durable=True) as connection:
            connection.executemany(
                "DELETE FROM own_numbers WHERE name = ? AND digest = ?",
                [(clean, digest) for digest in values],
            )
            connection.executemany(
                "INSERT INTO own_numbers (name, digest, value) VALUES (?, ?, ?)",
                [(clean, digest, value) for digest, value in values.items() if value is not None],
            )

    def of(self, digests: Iterable[str]) -> dict[str, dict[str, float]]:
        """Name -> digest -> number, of these pictures, by name in alphabetical order."""
        found: dict[str, dict[str, float]] = {}
        for some in chunks(list(dict.fromkeys(digests)), AT_ONCE):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT * FROM own_numbers WHERE digest IN ({marks})"
            for row in self._database.read(sql, some):
                found.setdefault(row["name"], {})[row["digest"]] = row["value"]
        return dict(sorted(found.items()))
