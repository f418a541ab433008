"""What was measured of stored pictures, so that a second look costs nothing.

All of a picture's are forgotten when it is deleted, computed again or recorded with more steps:
triggers of the tables see to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.runs.store.database import Database
from core.runs.store.index import chunks

AT_ONCE = 400
"""Digests of one query."""

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One value of a picture, or of it and `other`; None where it cannot be measured."""

    digest: str
    name: str
    version: int
    value: float | None
    other: str = ""


class KeptMeasures:
    """The measures of one data folder, from any thread or process. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, measured: Sequence[Measured]) -> None:
        """Write values; of pictures that were deleted meanwhile none is kept."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO measures (digest, other, name, version, value)"
                " SELECT ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM images WHERE digest = ?)",
                [
                    (one.digest, one.other, one.name, one.version, one.value, one.digest)
                    for one in measured
                ],
            )

    def of_pictures(
        self, digests: Iterable[str], versions: Mapping[str, int]
    ) -> dict[str, dict[str, float | None]]:
        """Digest -> name -> value, of those measured by these versions of the measures."""
        found: dict[str, dict[str, float | None]] = {}
        for some in chunks(list(dict.fromkeys(digests)), AT_ONCE):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT * FROM measures WHERE other = '' AND digest IN ({marks})"
            for row in self._database.read(sql, some):
                if versions.get(row["name"]) == row["version"]:
                    found.setdefault(row["digest"], {})[row["name"]] = row["value"]
        return found

    def of_pairs(
        self, pairs: Iterable[Pair], versions: Mapping[str, int]
    ) -> dict[Pair, dict[str, float | None]]:
        """Pair of digests -> name -> value, of those measured by these versions."""
        wanted = set(pairs)
        found: dict[Pair, dict[str, float | None]] = {}
        for some in chunks(sorted({one for one, _ in wanted}), AT_ONCE):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT * FROM measures WHERE other != '' AND digest IN ({marks})"
            for row in self._database.read(sql, some):
                pair = (row["digest"], row["other"])
                if pair in wanted and versions.get(row["name"]) == row["version"]:
                    found.setdefault(pair, {})[row["name"]] = row["value"]
        return found

    def keep_seen(self, clip: str, embeddings: Mapping[str, np.ndarray]) -> None:
        """Write what a CLIP sees: digest -> unit vector."""
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO seen (digest, clip, embedding)"
                " SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM images WHERE digest = ?)",
                [
                    (digest, clip, vector.astype(np.float32).tobytes(), digest)
                    for digest, vector in embeddings.items()
                ],
            )

    def seen(self, digests: Iterable[str], clip: str) -> dict[str, np.ndarray]:
        """Digest -> unit vector in float32, of those that this CLIP has seen."""
        found: dict[str, np.ndarray] = {}
        for some in chunks(list(dict.fromkeys(digests)), AT_ONCE):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT digest, embedding FROM seen WHERE clip = ? AND digest IN ({marks})"
            for row in self._database.read(sql, (clip, *some)):
                found[row["digest"]] = np.frombuffer(row["embedding"], np.float32)
        return found

    def of_runs(self, digests: Iterable[str]) -> dict[str, dict[str, float | None]]:
        """Digest -> `seconds` and `clip_score` as they were stored with each picture."""
        found: dict[str, dict[str, float | None]] = {}
        for some in chunks(list(dict.fromkeys(digests)), AT_ONCE):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT digest, seconds, clip_score FROM images WHERE digest IN ({marks})"
            for row in self._database.read(sql, some):
                found[row["digest"]] = {
                    "seconds": row["seconds"],
                    "clip_score": row["clip_score"],
                }
        return found
