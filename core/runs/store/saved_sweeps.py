"""Sweeps kept under a name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from core.runs.store.database import Database, StoreError
from core.runs.store.rows import UNREADABLE, Unreadable, read_number, read_object, read_text
from core.sweeps.sweep import Sweep

MAX_NAME = 80
"""Characters of a sweep's name."""


@dataclass(frozen=True, kw_only=True)
class SavedSweep:
    """A sweep kept under a name. Times in Unix seconds."""

    name: str
    sweep: Sweep
    created_at: float
    updated_at: float


def save(database: Database, name: str, sweep: Sweep) -> None:
    """Keep a sweep under a name; what had that name is replaced. Raises StoreError."""
    clean = clean_name(name)
    with database.write(durable=True) as connection:
        connection.execute(
            "INSERT INTO sweeps VALUES (:name, :sweep, :now, :now) ON CONFLICT (name)"
            " DO UPDATE SET sweep = excluded.sweep, updated_at = excluded.updated_at",
            {"name": clean, "sweep": json.dumps(sweep.to_dict()), "now": time.time()},
        )


def rename(database: Database, name: str, to: str) -> None:
    """Give a saved sweep another name. Raises StoreError where that is taken, or is none."""
    clean = clean_name(to)
    with database.write(durable=True) as connection:
        taken = connection.execute("SELECT 1 FROM sweeps WHERE name = ?", (clean,)).fetchone()
        if taken and clean != name:
            raise StoreError(f"There is a saved sweep “{clean}” already: choose another name.")
        connection.execute("UPDATE sweeps SET name = ? WHERE name = ?", (clean, name))


def clean_name(name: str) -> str:
    """The name as it is kept, its spaces single. Raises StoreError for one that is none."""
    clean = " ".join(name.split())
    if not clean or len(clean) > MAX_NAME:
        raise StoreError(f"Give the sweep a name of 1 to {MAX_NAME} characters.")
    return clean


def read_all(database: Database) -> Iterator[SavedSweep | Unreadable]:
    """Every saved sweep, the one saved last first; of one that cannot be read, why."""
    for row in database.read("SELECT * FROM sweeps ORDER BY updated_at DESC, name"):
        try:
            yield SavedSweep(
                name=read_text(row["name"], "name"),
                sweep=Sweep.from_dict(read_object(row["sweep"], "values")),
                created_at=read_number(row["created_at"], "time"),
                updated_at=read_number(row["updated_at"], "time"),
            )
        except UNREADABLE as error:
            yield Unreadable(kind="saved sweep", name=str(row["name"]), reason=str(error))


def delete(database: Database, name: str) -> bool:
    """Forgets a name. False when there was no such name."""
    with database.write(durable=True) as connection:
        found = connection.execute("DELETE FROM sweeps WHERE name = ?", (name,))
    return found.rowcount > 0
