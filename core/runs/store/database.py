"""The SQLite file: connections, transactions, schema, and its errors in plain words."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUSY_SECONDS = 15.0

Parameters = Sequence[Any] | dict[str, Any]


class StoreError(Exception):
    """The data folder cannot do what was asked; the message says what to do next."""


MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE images (
            digest TEXT PRIMARY KEY,
            settings TEXT NOT NULL,
            search_key TEXT NOT NULL,
            scheduler TEXT NOT NULL,
            model_name TEXT NOT NULL,
            model_fingerprint TEXT NOT NULL,
            created_at REAL NOT NULL,
            seconds REAL NOT NULL,
            computed TEXT NOT NULL,
            clip_score REAL,
            file_sha256 TEXT NOT NULL,
            file_size INTEGER NOT NULL,
            recorded INTEGER NOT NULL,
            damaged INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX images_newest ON images (created_at)",
        "CREATE INDEX images_scheduler ON images (scheduler, created_at)",
        "CREATE INDEX images_model ON images (model_name, created_at)",
        """CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            token TEXT NOT NULL,
            label TEXT NOT NULL,
            state TEXT NOT NULL,
            strict INTEGER NOT NULL,
            record TEXT NOT NULL,
            created_at REAL NOT NULL,
            started_at REAL,
            finished_at REAL,
            total_cells INTEGER NOT NULL,
            steps_per_second REAL,
            UNIQUE (owner, token)
        )""",
        "CREATE INDEX jobs_newest ON jobs (created_at)",
        "CREATE INDEX jobs_finished ON jobs (finished_at)",
        """CREATE TABLE cells (
            job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            settings TEXT NOT NULL,
            digest TEXT,
            model TEXT NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            state TEXT NOT NULL,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            crashes INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job_id, position)
        )""",
        "CREATE INDEX cells_digest ON cells (digest)",
        "CREATE INDEX cells_pending ON cells (job_id, position) WHERE state = 'pending'",
        "CREATE INDEX cells_running ON cells (digest) WHERE state = 'running'",
        "CREATE TABLE previews (digest TEXT PRIMARY KEY, png BLOB NOT NULL)",
        "CREATE TABLE watching (job_id TEXT PRIMARY KEY, until REAL NOT NULL)",
        """CREATE TABLE worker (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            pid INTEGER NOT NULL,
            host TEXT NOT NULL,
            state TEXT NOT NULL,
            device TEXT NOT NULL,
            dtype TEXT NOT NULL,
            model TEXT NOT NULL,
            message TEXT NOT NULL,
            heartbeat REAL NOT NULL
        )""",
    ),
    (
        """CREATE TABLE sweeps (
            name TEXT PRIMARY KEY,
            sweep TEXT NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL
        )""",
    ),
    # The digest of the picture that this one varies, "" for none; NULL: not looked up yet.
    (
        "ALTER TABLE images ADD COLUMN parent TEXT",
        "CREATE INDEX images_parent ON images (parent)",
    ),
    # The sweep that a job computes, as JSON; NULL where it computes none.
    ("ALTER TABLE jobs ADD COLUMN sweep TEXT",),
    # Named tasks: work that makes no stored image. Their results are files.
    (
        """CREATE TABLE tasks (
            key TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            owner TEXT NOT NULL,
            settings TEXT NOT NULL,
            arguments TEXT NOT NULL,
            state TEXT NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            total INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '',
            crashes INTEGER NOT NULL DEFAULT 0,
            created_at REAL NOT NULL,
            finished_at REAL,
            watched_until REAL NOT NULL
        )""",
        "CREATE INDEX tasks_unfinished ON tasks (created_at) WHERE finished_at IS NULL",
    ),
)
"""Schema n is reached by running the first n of these; never change one that was released."""


class Database:
    """One SQLite file in WAL mode, with a connection for each thread that uses it.

    Raises StoreError for everything that the disk or the file can do wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_new = False
        """Whether this object made the file: nothing is in it yet."""
        self._threads = threading.local()
        with self._explained():
            self._migrate()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit; it closes when the thread ends."""
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = self._connect()
        return found

    def read(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        with self._explained():
            return self.connection.execute(sql, parameters).fetchall()

    @contextmanager
    def write(self, *, durable: bool = False) -> Generator[sqlite3.Connection]:
        """A transaction that takes the write lock at once, so that what it reads stays true.

        It survives the end of the process in any case; `durable` makes it survive a power cut.
        """
        with self._explained():
            connection = self.connection
            if durable:
                connection.execute("PRAGMA synchronous = FULL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            finally:
                if durable:
                    connection.execute("PRAGMA synchronous = NORMAL")

    def data_version(self) -> int:
        """A number that changes when another connection has written. Costs microseconds."""
        return int(self.read("PRAGMA data_version")[0][0])

    def close(self) -> None:
        """Closes this thread's connection; a later call opens a new one."""
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is not None:
            self._threads.connection = None
            found.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _into_wal_mode(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        return connection

    def _migrate(self) -> None:
        connection = self.connection
        if self._schema(connection) == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            self.is_new = self._schema(connection) == 0
            for number, statements in enumerate(MIGRATIONS, start=1):
                if number > self._schema(connection):
                    for statement in statements:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _schema(self, connection: sqlite3.Connection) -> int:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(MIGRATIONS):
            raise StoreError(
                f"{self.path.parent} was written by a newer version of Diffusion Lightbox (its "
                f"schema is {found}, this version reads up to {len(MIGRATIONS)}). Update the "
                "program, or name another folder in LIGHTBOX_DATA."
            )
        return found

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            explained = _explain_sqlite(error, self.path)
            if explained is None:
                raise
            raise explained from error


def _into_wal_mode(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for this one by itself when two processes open a new file at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def explain_os_error(error: OSError, folder: Path) -> StoreError:
    """What went wrong with a file in the data folder, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _full(folder)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _read_only(folder)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return StoreError(
            f"The data folder {folder} cannot be made: a file of that name is in the way. Move "
            "it, or name another folder in LIGHTBOX_DATA."
        )
    return StoreError(
        f"The data folder {folder} cannot be used ({error.strerror or error}). Check the disk, "
        "or name another folder in LIGHTBOX_DATA."
    )


def _explain_sqlite(error: sqlite3.Error, path: Path) -> StoreError | None:
    """None for an error that only a mistake in our own code makes."""
    folder = path.parent
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return _full(folder)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _read_only(folder)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"The index {path} is damaged. The pictures in {folder / 'images'} are whole and "
            f"carry their settings: move {path.name} (and {path.name}-wal, if there is one) "
            "elsewhere and start again, and a new index is made from them."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"The index {path} has been locked by another program for {BUSY_SECONDS:.0f} "
            "seconds. Close that program (a database viewer, a backup), then try again."
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"Reading or writing {path} failed ({error}). The disk may be full or failing: "
            "check it, or name another folder in LIGHTBOX_DATA."
        )
    return None


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code: the lower byte of the extended one."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _full(folder: Path) -> StoreError:
    return StoreError(
        f"The disk that holds {folder} is full: nothing stored is lost, but no image can be "
        "added. Free some space, or name another folder in LIGHTBOX_DATA."
    )


def _read_only(folder: Path) -> StoreError:
    return StoreError(
        f"The data folder {folder} cannot be written. Make it writable for this user, or name "
        "another folder in LIGHTBOX_DATA."
    )
