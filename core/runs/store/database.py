"""The SQLite file: connections, transactions, schema, and its errors in plain words."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.runs.store.schema import MIGRATIONS

BUSY_SECONDS = 15.0

Parameters = Sequence[Any] | dict[str, Any]


class StoreError(Exception):
    """The data folder cannot do what was asked; the message says what to do next."""


class DiskFullError(StoreError):
    """The disk that holds the data folder has no room."""


class Database:
    """One SQLite file in WAL mode, with a connection for each thread that uses it.

    Raises StoreError for everything that the disk or the file can do wrong.
    """

    def __init__(
        self, path: Path, *, prepare: Callable[[], Callable[[sqlite3.Connection], None]]
    ) -> None:
        """`prepare` gives what writes the first rows of a new index. They are committed with the
        schema: an index is either not there or whole.
        """
        self.path = path
        self._prepare = prepare
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
        connection.text_factory = _text
        _into_wal_mode(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        return connection

    def _migrate(self) -> None:
        if self.path.is_dir():
            raise StoreError(
                f"A folder is in the place of the index {self.path}: move it elsewhere and start "
                "again. The pictures are not in it, and a new index is made from them."
            )
        connection = self.connection
        if self._schema(connection) == len(MIGRATIONS):
            return
        # Reading the pictures may take minutes, for which no lock is held: another process that
        # opens the folder does the same, and the first to come writes.
        fill = self._prepare() if self._is_empty(connection) else None
        connection.execute("BEGIN IMMEDIATE")
        try:
            is_empty = self._is_empty(connection)
            for number, statements in enumerate(MIGRATIONS, start=1):
                if number > self._schema(connection):
                    for statement in statements:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number}")
            if fill is not None and is_empty:
                fill(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _is_empty(self, connection: sqlite3.Connection) -> bool:
        """Return whether it has no picture: it is new, or an earlier version was stopped before it
        had read them.
        """
        schema = self._schema(connection)
        return not schema or not connection.execute("SELECT 1 FROM images LIMIT 1").fetchone()

    def _schema(self, connection: sqlite3.Connection) -> int:
        found, tables = _version_and_tables(connection)
        is_ours = found > 0 and {"images", "jobs", "cells"} <= tables
        if (found or tables) and not is_ours:
            raise StoreError(
                f"{self.path} is the database of another program, and was left as it is: move it "
                "elsewhere, or name another folder in LIGHTBOX_DATA."
            )
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


def _version_and_tables(connection: sqlite3.Connection) -> tuple[int, set[str]]:
    """Both as of one moment: another process may be making the index just now."""
    is_alone = not connection.in_transaction
    if is_alone:
        connection.execute("BEGIN")
    try:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables: set[str] = {row[0] for row in names}
        return int(connection.execute("PRAGMA user_version").fetchone()[0]), tables
    finally:
        if is_alone:
            connection.execute("ROLLBACK")


def _text(stored: bytes) -> str | bytes:
    """Text that is no UTF-8 (bits of the file have changed) as bytes: its row alone is damaged."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


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
    return DiskFullError(
        f"The disk that holds {folder} is full: nothing stored is lost, but no image can be "
        "added. Free some space, or name another folder in LIGHTBOX_DATA."
    )


def _read_only(folder: Path) -> StoreError:
    return StoreError(
        f"The data folder {folder} cannot be written. Make it writable for this user, or name "
        "another folder in LIGHTBOX_DATA."
    )
