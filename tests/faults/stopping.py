"""A program that does one thing to a store and ends in the midst of it, as if it were killed.

Arguments: the folder, what to do ("open", "delete", "put"), and the point to end at: one of POINTS
with the count of the time, such as "row:3". Nothing is flushed and no handler runs.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.runs.store import deletions, files, reindex, store
from core.runs.store.database import Database
from tests.core.runs.doubles import generation, info, settings

ENDED = 77
"""The exit status of a program that came to its point."""

POINTS: dict[str, tuple[Any, str]] = {
    "read": (reindex, "_row_of"),
    "row": (reindex, "write_row"),
    "own row": (store, "write_row"),
    "write": (files.Files, "write"),
    "remove": (files.Files, "remove"),
    "deletion begins": (deletions.Deletions, "begin"),
    "deletion ends": (deletions.Deletions, "end"),
}


def stop_at(point: str, count: int) -> None:
    if point == "commit":
        _stop_at_commit(count)
        return
    owner, name = POINTS[point]
    setattr(owner, name, _ending(getattr(owner, name), count))


def _ending(plain: Callable[..., Any], count: int) -> Callable[..., Any]:
    calls = [0]

    def called(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            os._exit(ENDED)
        return plain(*given, **named)

    return called


def _stop_at_commit(count: int) -> None:
    connect, calls = Database._connect, [0]

    def traced(self: Database) -> sqlite3.Connection:
        connection = connect(self)

        def say(sql: str) -> None:
            calls[0] += sql == "COMMIT"
            if calls[0] == count:
                os._exit(ENDED)

        connection.set_trace_callback(say)
        return connection

    Database._connect = traced  # type: ignore[method-assign]


def main() -> None:
    folder, what, point = sys.argv[1:]
    name, _, count = point.partition(":")
    if what == "open":
        stop_at(name, int(count))
        store.Store(Path(folder))
        return
    opened = store.Store(Path(folder))
    digests = [image.digest for image in opened.search(limit=99)]
    opened.close()
    stop_at(name, int(count))
    if what == "delete":
        opened.delete(digests)
    else:
        opened.put(generation(settings(77)), info())


if __name__ == "__main__":
    main()
