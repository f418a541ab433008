"""Store: every image once, under the digest of all that determines it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING

from core.diffusion.named_files import digest_of
from core.diffusion.trajectory import Trajectory, TrajectoryError
from core.output.texts.infotext import write_png
from core.runs.store import saved_sweeps
from core.runs.store.data_folder import data_folder
from core.runs.store.database import Database, DiskFullError, StoreError
from core.runs.store.deletions import Deletion, Deletions
from core.runs.store.files import Files
from core.runs.store.index import Facets, ImageIndex, chunks
from core.runs.store.inputs import Inputs
from core.runs.store.parents import look_up_parents
from core.runs.store.reindex import read_pictures
from core.runs.store.rows import RowError, Unreadable, read_settings
from core.runs.store.saved_sweeps import MAX_NAME, SavedSweep
from core.runs.store.stored_image import (
    RECORD_LEVELS,
    StoredImage,
    image_from,
    image_row,
    level_of,
    write_row,
)
from core.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from core.diffusion.events import Generation
    from core.diffusion.models.load import ModelInfo

log = logging.getLogger(__name__)

__all__ = [
    "MAX_NAME",
    "RECORD_LEVELS",
    "Facets",
    "SavedSweep",
    "Store",
    "StoreError",
    "StoredImage",
    "Unreadable",
    "data_folder",
]


class Store(ImageIndex):
    """Images and trajectories as files, everything about them in SQLite.

    A picture is written, fsynced and renamed before its row is committed: a row always has its
    file. Safe to use from many threads and processes. A lost index is made again from the
    pictures. Raises StoreError with a message that says what to do.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            self.folder = (folder or data_folder()).resolve()
        except (OSError, RuntimeError) as error:
            raise StoreError(f"The data folder cannot be found: {error}.") from error
        files = Files(self.folder)
        files.prepare()
        self.files = files
        self._deletions = Deletions(files)
        self._strange: tuple[Unreadable, ...] = ()  # pictures that got no row in a new index
        super().__init__(
            Database(self.folder / "lightbox.sqlite3", prepare=self._read_pictures), files
        )
        self.inputs = Inputs(self.database, self.files)
        """The source pictures of image-to-image."""
        look_up_parents(self.database)

    def put(
        self,
        generation: Generation,
        model: ModelInfo,
        *,
        clip_score: float | None = None,
        png: bytes | None = None,
        digest: str = "",
    ) -> StoredImage:
        """Stores an image once. A sound picture that is there already is never rewritten.

        `digest` is that of its settings and `png` what `write_png` gives for it, where these are
        known already. A trajectory that holds more than the stored one takes its place.
        """
        settings = generation.settings
        digest = digest or digest_of(settings, model.fingerprint)
        level = level_of(generation.trajectory)
        kept = self._sound([digest]).get(digest)
        stored = self.get(digest) if kept is not None else None
        if kept is not None and stored is not None:
            return self._record_more(stored, generation.trajectory, kept)
        self._begin_writing(digest)
        if generation.trajectory is not None:
            self.files.write(self.files.trajectory(digest), generation.trajectory.to_bytes())
        png = png or write_png(generation.image, settings, model, generation.computed)
        self.files.write(self.files.picture(digest), png)
        row = image_row(
            digest=digest,
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
            connection.execute("DELETE FROM writing WHERE digest = ?", (digest,))
        return image_from(row, self.files.picture(digest), settings)

    def _record_more(
        self, stored: StoredImage, trajectory: Trajectory | None, kept: int
    ) -> StoredImage:
        """Replaces the trajectory of a stored picture by one that holds more."""
        level = level_of(trajectory)
        if trajectory is None or level <= kept:
            return stored
        self.files.write(self.files.trajectory(stored.digest), trajectory.to_bytes())
        with self.database.write(durable=True) as connection:
            connection.execute(
                "UPDATE images SET recorded = ? WHERE digest = ?", (level, stored.digest)
            )
        return replace(stored, has_trajectory=True)

    def _begin_writing(self, digest: str) -> None:
        """Note that from now until its row is committed the files of this picture are no one's."""
        with self.database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO writing VALUES (?)", (digest,))
        self._deletions.keep(digest)

    def holds(self, digests: Iterable[str], record: str = "none") -> set[str]:
        """Those that are stored with their picture whole (by its size) and at least `record`."""
        wanted = RECORD_LEVELS[record]
        return {digest for digest, level in self._sound(digests).items() if level >= wanted}

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

    def delete(self, digests: Sequence[str]) -> int:
        """Delete images for good, rows first; return how many there were. A source picture goes
        with the last image made from it. `tidy` ends what is cut short.
        """
        known = list(dict.fromkeys(digests))
        deletion = self._deletions.begin(known, self._sources(known))
        try:
            return self._carry_out(deletion)
        except DiskFullError:
            self._remove_files(known)  # first: nothing can be written down before there is room
            return self._carry_out(deletion)
        except StoreError:
            self._deletions.give_up(deletion)
            raise

    def tidy(self) -> None:
        """Remove what a killed process left: half-written files, deleted pictures, and pictures
        that never got their row. Only for the one process that writes.
        """
        self.files.sweep_unfinished()
        for deletion in self._deletions.unfinished():
            log.warning("Finishing a deletion: %s", ", ".join(deletion.digests))
            self._carry_out(deletion)
        rows = self.database.read(
            "SELECT digest, digest IN (SELECT digest FROM images) AS is_stored FROM writing"
        )
        for digest in [row["digest"] for row in rows if not row["is_stored"]]:
            if self.files.picture(digest).exists():
                log.warning("Removing %s.png, which was never finished", digest)
            self._remove_files([digest])
        if rows:
            with self.database.write() as connection:
                connection.execute("DELETE FROM writing")

    def _carry_out(self, deletion: Deletion) -> int:
        count = 0
        with self.database.write(durable=True) as connection:
            for digest in deletion.digests:
                found = connection.execute("DELETE FROM images WHERE digest = ?", (digest,))
                count += found.rowcount
        self._remove_files(deletion.digests)
        self.inputs.forget_unused(deletion.sources)
        self._deletions.end(deletion)
        return count

    def _remove_files(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self.files.remove(self.files.picture(digest))
            self.files.remove(self.files.trajectory(digest))

    def _sources(self, digests: list[str]) -> set[str]:
        """The source pictures of these images; none of one that cannot be read."""
        sources: set[str] = set()
        for some in chunks(digests, 500):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT settings FROM images WHERE digest IN ({marks})"
            for row in self.database.read(sql, some):
                with suppress(RowError):
                    settings = read_settings(row["settings"])
                    sources |= {settings.init_image, settings.mask_image}
        return sources - {""}

    def save_sweep(self, name: str, sweep: Sweep) -> None:
        """Keep a sweep under a name; what had that name is replaced."""
        saved_sweeps.save(self.database, name, sweep)

    def rename_sweep(self, name: str, to: str) -> None:
        saved_sweeps.rename(self.database, name, to)

    def sweeps(self) -> list[SavedSweep]:
        """Every saved sweep that can be read, the one saved last first."""
        found = saved_sweeps.read_all(self.database)
        return [one for one in found if isinstance(one, SavedSweep)]

    def delete_sweep(self, name: str) -> bool:
        """Forgets a name; the images stay. False when there was no such name."""
        return saved_sweeps.delete(self.database, name)

    def unreadable(self) -> tuple[Unreadable, ...]:
        """What is stored here and cannot be read: pictures, then saved sweeps."""
        sweeps = saved_sweeps.read_all(self.database)
        found = [one for one in sweeps if isinstance(one, Unreadable)]
        return (*super().unreadable(), *self._strange, *found)

    def close(self) -> None:
        """Closes this thread's connection."""
        self.database.close()

    def _sound(self, digests: Iterable[str]) -> dict[str, int]:
        """Digest -> level recorded, of those whose row and picture agree."""
        sound: dict[str, int] = {}
        for some in chunks(list(dict.fromkeys(digests)), 500):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT digest, file_size, recorded FROM images WHERE digest IN ({marks})"
            for row in self.database.read(f"{sql} AND damaged = 0", some):
                size = self.files.picture_size(row["digest"])
                if size == row["file_size"] and not self._is_bad(row["digest"]):
                    sound[row["digest"]] = row["recorded"]
        return sound

    def _read_pictures(self) -> Callable[[Connection], None]:
        """What writes the first rows of a new index."""
        deleted = {one for deletion in self._deletions.unfinished() for one in deletion.digests}
        found = read_pictures(self.files, but=deleted)
        for one in found.strange:
            log.warning("%s was left without a row: %s", one.name, one.reason)
        self._strange = found.strange
        return found.write

    def _forget_trajectory(self, digest: str) -> None:
        with self.database.write() as connection:
            connection.execute("UPDATE images SET recorded = 0 WHERE digest = ?", (digest,))
