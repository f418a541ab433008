"""Store: every image once, under the digest of all that determines it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from core.diffusion.models.loras import digest_of
from core.diffusion.settings import GenerationSettings, SettingsError
from core.diffusion.trajectory import Trajectory, TrajectoryError
from core.output.texts.infotext import write_png
from core.runs.store.database import Database, StoreError
from core.runs.store.files import Files
from core.runs.store.inputs import Inputs
from core.runs.store.reindex import reindex
from core.runs.store.stored_image import (
    RECORD_LEVELS,
    StoredImage,
    image_from,
    image_row,
    parent_digest,
    search_key,
    write_row,
)
from core.sweeps.axis import SweepError
from core.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from core.diffusion.events import Generation
    from core.diffusion.models.load import ModelInfo

log = logging.getLogger(__name__)

__all__ = [
    "RECORD_LEVELS",
    "Facets",
    "SavedSweep",
    "Store",
    "StoreError",
    "StoredImage",
    "data_folder",
]


@dataclass(frozen=True, kw_only=True)
class Facets:
    """What the stored images can be filtered by, each in alphabetical order."""

    schedulers: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SavedSweep:
    """A sweep kept under a name. Times in Unix seconds."""

    name: str
    sweep: Sweep
    created_at: float
    updated_at: float


MAX_NAME = 80
"""Characters of a sweep's name."""


def data_folder() -> Path:
    """Where images are kept: LIGHTBOX_DATA, else the user's data directory of the platform."""
    named = os.environ.get("LIGHTBOX_DATA", "").strip()
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir("diffusion-lightbox", appauthor=False))


class Store:
    """Images and trajectories as files, everything about them in SQLite.

    A picture is written, fsynced and renamed before its row is committed: a row always has its
    file. Safe to use from many threads and processes. A lost index is made anew from the
    pictures. Raises StoreError with a message that says what to do.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            self.folder = (folder or data_folder()).resolve()
        except (OSError, RuntimeError) as error:
            raise StoreError(f"The data folder cannot be found: {error}.") from error
        self.files = Files(self.folder)
        self.files.prepare()
        self.database = Database(self.folder / "lightbox.sqlite3")
        self.inputs = Inputs(self.database, self.files)
        """The source pictures of image-to-image."""
        if self.database.is_new:
            reindex(self.database, self.files)
        self._look_up_parents()

    def put(
        self,
        generation: Generation,
        model: ModelInfo,
        *,
        clip_score: float | None = None,
        png: bytes | None = None,
    ) -> StoredImage:
        """Stores an image once. A sound picture that is there already is never rewritten.

        `png` is what `write_png` gives for it, where that is done already. A trajectory that holds
        more than the stored one takes its place.
        """
        settings = generation.settings
        digest = digest_of(settings, model.fingerprint)
        level = _level_of(generation.trajectory)
        kept = self._sound([digest]).get(digest)
        if generation.trajectory is not None and (kept is None or level > kept):
            self.files.write(self.files.trajectory(digest), generation.trajectory.to_bytes())
        if kept is not None:
            if level > kept:
                with self.database.write(durable=True) as connection:
                    connection.execute(
                        "UPDATE images SET recorded = ? WHERE digest = ?", (level, digest)
                    )
        else:
            png = png or write_png(generation.image, settings, model, generation.computed)
            self.files.write(self.files.picture(digest), png)
            row = image_row(
                settings=settings,
                model_name=model.name,
                model_fingerprint=model.fingerprint,
                png=png,
                created_at=time.time(),
                computed=asdict(generation.computed),
                recorded=level,
                seconds=generation.seconds,
                clip_score=clip_score,
            )
            with self.database.write(durable=True) as connection:
                write_row(connection, row)
        stored = self.get(digest)
        if stored is None:
            raise StoreError("The image was deleted at the moment it was stored.")
        return stored

    def holds(self, digests: Iterable[str], record: str = "none") -> set[str]:
        """Those that are stored with their picture whole (by its size) and at least `record`."""
        wanted = RECORD_LEVELS[record]
        return {digest for digest, level in self._sound(digests).items() if level >= wanted}

    def get(self, digest: str) -> StoredImage | None:
        rows = self.database.read("SELECT * FROM images WHERE digest = ?", (digest,))
        return self._image(rows[0]) if rows else None

    def image_bytes(self, digest: str) -> bytes:
        """The stored PNG, byte for byte, checked against the digest taken when it was written."""
        rows = self.database.read("SELECT file_sha256 FROM images WHERE digest = ?", (digest,))
        if not rows:
            raise StoreError("This image was deleted: compute it again.")
        data = self.files.read(self.files.picture(digest))
        if data is not None and hashlib.sha256(data).hexdigest() == rows[0]["file_sha256"]:
            return data
        # From now on the queue takes it for missing, so that asking for it computes it again.
        with self.database.write() as connection:
            connection.execute("UPDATE images SET damaged = 1 WHERE digest = ?", (digest,))
        what = "is missing" if data is None else "is damaged"
        raise StoreError(
            f"The picture file {self.files.picture(digest)} {what}. Generate with the same "
            "settings to compute it again, or delete it in the Gallery."
        )

    def trajectory(self, digest: str) -> Trajectory | None:
        """What was recorded while the image was computed; None if nothing was."""
        rows = self.database.read("SELECT recorded FROM images WHERE digest = ?", (digest,))
        if not rows or rows[0]["recorded"] == RECORD_LEVELS["none"]:
            return None
        data = self.files.read(self.files.trajectory(digest))
        try:
            if data is not None:
                return Trajectory.from_bytes(data)
        except TrajectoryError as error:
            if error.is_damaged:
                self._forget_trajectory(digest)
            raise StoreError(str(error)) from error
        self._forget_trajectory(digest)
        raise StoreError("The stored trajectory is missing. Compute the image again.")

    def search(
        self,
        text: str = "",
        scheduler: str | None = None,
        model: str | None = None,
        limit: int = 24,
        offset: int = 0,
    ) -> list[StoredImage]:
        """Newest first. Every word of `text` must stand in the prompt, in either case."""
        where, values = _conditions(text, scheduler, model)
        sql = f"SELECT * FROM images {where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?"
        return [self._image(row) for row in self.database.read(sql, (*values, limit, offset))]

    def count(self, text: str = "", scheduler: str | None = None, model: str | None = None) -> int:
        where, values = _conditions(text, scheduler, model)
        return int(self.database.read(f"SELECT COUNT(*) FROM images {where}", values)[0][0])

    def facets(self) -> Facets:
        def distinct(column: str) -> tuple[str, ...]:
            sql = f"SELECT DISTINCT {column} FROM images ORDER BY {column}"
            return tuple(row[0] for row in self.database.read(sql))

        return Facets(schedulers=distinct("scheduler"), models=distinct("model_name"))

    def children(self, digests: Collection[str], limit: int) -> list[StoredImage]:
        """The pictures that vary these, oldest first, at most `limit`."""
        found: list[StoredImage] = []
        for some in _chunks(list(dict.fromkeys(digests)), 500):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT * FROM images WHERE parent IN ({marks}) ORDER BY created_at, rowid"
            rows = self.database.read(f"{sql} LIMIT ?", (*some, limit))
            found += [self._image(row) for row in rows]
        return found[:limit]

    def delete(self, digests: Sequence[str]) -> int:
        """Deletes images for good and returns how many there were. Rows first, files then.

        A source picture goes with the last image that was made from it.
        """
        deleted: list[str] = []
        sources: set[str] = set()
        with self.database.write(durable=True) as connection:
            for digest in dict.fromkeys(digests):
                sql = "DELETE FROM images WHERE digest = ? RETURNING settings"
                for row in connection.execute(sql, (digest,)).fetchall():
                    settings = json.loads(row["settings"])
                    sources |= {settings.get("init_image", ""), settings.get("mask_image", "")}
                    deleted.append(digest)
        for digest in deleted:
            self.files.remove(self.files.picture(digest))
            self.files.remove(self.files.trajectory(digest))
        self.inputs.forget_unused(sources)
        return len(deleted)

    def save_sweep(self, name: str, sweep: Sweep) -> None:
        """Keeps a sweep under a name, in place of what had that name."""
        clean = " ".join(name.split())
        if not clean or len(clean) > MAX_NAME:
            raise StoreError(f"Give the sweep a name of 1 to {MAX_NAME} characters.")
        with self.database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO sweeps VALUES (:name, :sweep, :now, :now) ON CONFLICT (name)"
                " DO UPDATE SET sweep = excluded.sweep, updated_at = excluded.updated_at",
                {"name": clean, "sweep": json.dumps(sweep.to_dict()), "now": time.time()},
            )

    def sweeps(self) -> list[SavedSweep]:
        """Every saved sweep, the one saved last first."""
        found: list[SavedSweep] = []
        for row in self.database.read("SELECT * FROM sweeps ORDER BY updated_at DESC, name"):
            try:
                sweep = Sweep.from_dict(json.loads(row["sweep"]))
            except (SweepError, SettingsError) as error:
                log.warning("The saved sweep %r cannot be read: %s", row["name"], error)
                continue
            found.append(
                SavedSweep(
                    name=row["name"],
                    sweep=sweep,
                    created_at=row["created_at"],
                    updated_at=row["updated_at"],
                )
            )
        return found

    def delete_sweep(self, name: str) -> bool:
        """Forgets a name; the images stay. False when there was no such name."""
        with self.database.write(durable=True) as connection:
            found = connection.execute("DELETE FROM sweeps WHERE name = ?", (name,))
        return found.rowcount > 0

    def close(self) -> None:
        """Closes this thread's connection."""
        self.database.close()

    def _sound(self, digests: Iterable[str]) -> dict[str, int]:
        """Digest -> level recorded, of those whose row and picture agree."""
        sound: dict[str, int] = {}
        for some in _chunks(list(dict.fromkeys(digests)), 500):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT digest, file_size, recorded FROM images WHERE digest IN ({marks})"
            for row in self.database.read(f"{sql} AND damaged = 0", some):
                try:
                    size = self.files.picture(row["digest"]).stat().st_size
                except OSError:
                    continue
                if size == row["file_size"]:
                    sound[row["digest"]] = row["recorded"]
        return sound

    def _look_up_parents(self) -> None:
        """Of the pictures that were stored before families were kept."""
        sql = "SELECT digest, settings, model_fingerprint FROM images WHERE parent IS NULL"
        parents = [
            (
                parent_digest(
                    GenerationSettings.from_dict(json.loads(row["settings"])),
                    row["model_fingerprint"],
                ),
                row["digest"],
            )
            for row in self.database.read(sql)
        ]
        if parents:
            with self.database.write() as connection:
                connection.executemany("UPDATE images SET parent = ? WHERE digest = ?", parents)

    def _forget_trajectory(self, digest: str) -> None:
        with self.database.write() as connection:
            connection.execute("UPDATE images SET recorded = 0 WHERE digest = ?", (digest,))

    def _image(self, row: sqlite3.Row) -> StoredImage:
        return image_from(row, self.files.picture(row["digest"]))


def _level_of(trajectory: Trajectory | None) -> int:
    if trajectory is None:
        return RECORD_LEVELS["none"]
    return RECORD_LEVELS["norms" if trajectory.latents is None else "latents"]


def _conditions(text: str, scheduler: str | None, model: str | None) -> tuple[str, list[str]]:
    """A WHERE clause and its values. instr, unlike LIKE, has no wildcards to escape."""
    words = search_key(text).split()
    clauses = ["instr(search_key, ?) > 0"] * len(words)
    for column, value in (("scheduler", scheduler), ("model_name", model)):
        if value is not None:
            clauses.append(f"{column} = ?")
            words.append(value)
    return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), words


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
