"""ImageIndex: reading the rows of pictures. One that cannot be read is skipped and named."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.runs.store.database import Database
from core.runs.store.files import Files
from core.runs.store.opinions.ratings import ORDERS, RATED
from core.runs.store.rows import RowError, Unreadable
from core.runs.store.stored_image import StoredImage, image_from, search_key

CHECKED_AT_ONCE = 5000
"""Rows that one call of `unreadable` looks at: a tenth of a second. The next goes on from there."""

_OF_SWEEP = (
    "WITH of_sweep AS (SELECT cells.digest AS cell, jobs.id AS job, MAX(jobs.rowid) FROM cells"
    " JOIN jobs ON jobs.id = cells.job_id WHERE jobs.sweep IS NOT NULL GROUP BY cells.digest)"
)
"""Each picture's sweep: the last job that was to compute it."""

_GROUPED = "images LEFT JOIN of_sweep ON of_sweep.cell = images.digest"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Facets:
    """What the stored images can be filtered by, each in alphabetical order."""

    schedulers: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which pictures are asked for; None is any. Every word of `text` must stand in the prompt, in
    either case; `rated` is one of RATED.
    """

    text: str = ""
    scheduler: str | None = None
    model: str | None = None
    rated: str | None = None

    def conditions(self) -> tuple[list[str], list[str]]:
        """Conditions of SQL that all must hold, and their values. instr, unlike LIKE, has no
        wildcards to escape. Raises KeyError for a rating that is none of RATED.
        """
        values = search_key(self.text).split()
        clauses = ["instr(search_key, ?) > 0"] * len(values)
        for column, value in (("scheduler", self.scheduler), ("model_name", self.model)):
            if value is not None:
                clauses.append(f"{column} = ?")
                values.append(value)
        if self.rated is not None:
            clauses.append(RATED[self.rated])
        return clauses, values


EVERYTHING = Filter()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A picture by itself; or the newest picture of a sweep, its job and how many were found."""

    image: StoredImage
    job_id: str | None = None
    count: int = 1


class ImageIndex:
    """The table of pictures, for any thread. Raises StoreError.

    A row of a newer version, or a damaged one, is left out of all that is read here; `unreadable`
    names it. Its file is kept.
    """

    def __init__(self, database: Database, files: Files) -> None:
        self.database = database
        self.files = files
        self._bad: dict[str, Unreadable] = {}  # by the digest's bytes in hex, whatever those are
        self._checked = 0  # the rowid up to which every row was looked at
        self._lock = threading.Lock()

    def unreadable(self) -> tuple[Unreadable, ...]:
        """The pictures known to have a row that cannot be read. What was stored since the last
        call is looked at first, at most CHECKED_AT_ONCE rows of it.
        """
        sql = (
            "SELECT *, rowid AS place, hex(digest) AS key FROM images WHERE rowid > ?"
            " ORDER BY rowid LIMIT ?"
        )
        for row in self.database.read(sql, (self._checked, CHECKED_AT_ONCE)):
            self._read(row)
            self._checked = row["place"]
        with self._lock:
            known = list(self._bad.items())
        sql = "SELECT 1 FROM images WHERE digest IN (CAST(? AS TEXT), ?)"
        for key, _ in known:
            digest = bytes.fromhex(key)
            if not self.database.read(sql, (digest, digest)):
                self._forget(key)
        with self._lock:
            return tuple(self._bad.values())

    def get(self, digest: str) -> StoredImage | None:
        """None where it is not stored, or its row cannot be read."""
        sql = "SELECT *, hex(digest) AS key FROM images WHERE digest = ?"
        return next(iter(self._readable(self.database.read(sql, (digest,)))), None)

    def search(
        self,
        wanted: Filter = EVERYTHING,
        limit: int = 24,
        offset: int = 0,
        order: str = "newest",
    ) -> list[StoredImage]:
        """The first in an order of ORDERS."""
        sql = (
            "SELECT *, hex(digest) AS key FROM images {where}"
            f" ORDER BY {ORDERS[order]} DESC, rowid DESC LIMIT ? OFFSET ?"
        )
        found = self._page(sql, wanted, (limit, offset))
        return [image for _, image in found]

    def entries(
        self,
        wanted: Filter = EVERYTHING,
        limit: int = 24,
        offset: int = 0,
        order: str = "newest",
    ) -> list[Entry]:
        """What `search` finds, the pictures of one sweep as one entry: the first of them."""
        sql = (
            f"{_OF_SWEEP} SELECT images.*, hex(digest) AS key, MAX({ORDERS[order]}) AS first,"
            f" COUNT(*) AS pictures, job FROM {_GROUPED} {{where}} GROUP BY COALESCE(job, digest)"
            " ORDER BY first DESC, images.rowid DESC LIMIT ? OFFSET ?"
        )
        return [
            Entry(image=image, job_id=row["job"], count=row["pictures"])
            if row["pictures"] > 1
            else Entry(image=image)
            for row, image in self._page(sql, wanted, (limit, offset))
        ]

    def count_entries(
        self,
        wanted: Filter = EVERYTHING,
    ) -> int:
        """How many `entries` would find."""
        self.unreadable()
        where, values = self._conditions(wanted)
        sql = f"{_OF_SWEEP} SELECT COUNT(DISTINCT COALESCE(job, digest)) FROM {_GROUPED} {where}"
        return int(self.database.read(sql, values)[0][0])

    def neighbours(
        self,
        image: StoredImage,
        wanted: Filter = EVERYTHING,
        order: str = "newest",
    ) -> tuple[StoredImage | None, StoredImage | None]:
        """The pictures before and after it that `search` would find."""
        where, values = self._conditions(wanted)
        by = ORDERS[order]
        place = f"SELECT {by}, rowid FROM images WHERE digest = ?"
        found: list[StoredImage | None] = []
        for sign, way in ((">", "ASC"), ("<", "DESC")):
            sql = (
                f"SELECT *, hex(digest) AS key FROM images {where} {'AND' if where else 'WHERE'}"
                f" ({by}, rowid) {sign} ({place})"
                f" ORDER BY {by} {way}, rowid {way} LIMIT 1"
            )
            rows = self.database.read(sql, (*values, image.digest))
            found.append(next(iter(self._readable(rows)), None))
        return found[0], found[1]

    def count(
        self,
        wanted: Filter = EVERYTHING,
    ) -> int:
        """How many `search` would find; a row that cannot be read counts until it is known."""
        self.unreadable()
        where, values = self._conditions(wanted)
        return int(self.database.read(f"SELECT COUNT(*) FROM images {where}", values)[0][0])

    def facets(self) -> Facets:
        """Return the facets of the pictures that can be read."""
        self.unreadable()

        def distinct(column: str) -> tuple[str, ...]:
            where, values = self._conditions(EVERYTHING)
            sql = f"SELECT DISTINCT {column} FROM images {where} ORDER BY {column}"
            rows = self.database.read(sql, values)
            return tuple(row[0] for row in rows if isinstance(row[0], str))

        return Facets(schedulers=distinct("scheduler"), models=distinct("model_name"))

    def children(self, digests: Collection[str], limit: int) -> list[StoredImage]:
        """The pictures that vary these, oldest first, at most `limit`."""
        found: list[StoredImage] = []
        for some in chunks(list(dict.fromkeys(digests)), 500):
            marks = ", ".join("?" * len(some))
            sql = (
                f"SELECT *, hex(digest) AS key FROM images WHERE parent IN ({marks})"
                " ORDER BY created_at, rowid LIMIT ?"
            )
            found += self._readable(self.database.read(sql, (*some, limit)))
        return found[:limit]

    def _page(
        self,
        sql: str,
        wanted: Filter,
        place: tuple[int, int],
    ) -> list[tuple[sqlite3.Row, StoredImage]]:
        """The rows that `sql` finds with its conditions at `{where}`, all of them readable."""
        while True:
            where, values = self._conditions(wanted)
            rows = self.database.read(sql.format(where=where), (*values, *place))
            found = [(row, image) for row in rows if (image := self._read(row)) is not None]
            if len(found) == len(rows):
                return found
            self.unreadable()  # most likely there are more: the place of each is another's

    def _is_bad(self, digest: str) -> bool:
        return digest.encode(errors="replace").hex().upper() in self._bad

    def _readable(self, rows: Iterable[sqlite3.Row]) -> list[StoredImage]:
        return [image for row in rows if (image := self._read(row)) is not None]

    def _read(self, row: sqlite3.Row) -> StoredImage | None:
        key: str = row["key"]
        try:
            image = image_from(row, self.files.picture(str(row["digest"])))
        except RowError as error:
            name = bytes.fromhex(key).decode(errors="replace")
            bad = Unreadable(kind="picture", name=name, reason=str(error))
            with self._lock:
                is_known = self._bad.get(key) == bad
                self._bad[key] = bad
            if not is_known:
                log.warning("The picture %s cannot be read: %s. Its file is kept.", name, error)
            return None
        if key in self._bad:
            self._forget(key)
        return image

    def _forget(self, key: str) -> None:
        with self._lock:
            self._bad.pop(key, None)

    def _conditions(self, wanted: Filter) -> tuple[str, Sequence[str]]:
        """A WHERE clause and its values, for the rows that can be read."""
        clauses, values = wanted.conditions()
        with self._lock:
            bad = list(self._bad)
        if bad:
            clauses.append("hex(digest) NOT IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(bad))
        return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), values


def chunks(items: list[str], size: int) -> Iterator[list[str]]:
    """The items in their order, at most `size` together: SQLite takes so many values at once."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
