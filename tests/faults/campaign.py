"""How hard a test of this folder tries, and what it has held: the table of `make faults`."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LONG = os.environ.get("LIGHTBOX_FAULTS") == "long"


def tries(short: int, long: int) -> int:
    """How often to try: `short` with every test run, `long` by `make faults`."""
    return long if LONG else short


class Count:
    """How often a fault was tried, and how often it was borne."""

    def __init__(self) -> None:
        self.tried = self.held = 0

    @contextmanager
    def one(self, number: int = 1) -> Generator[None]:
        """So many tries; they are held where the block ends without an error."""
        self.tried += number
        yield
        self.held += number


@contextmanager
def counted(what: str) -> Generator[Count]:
    """Count the tries of a fault, for the table.

    Nothing is noted where LIGHTBOX_FAULTS_TABLE does not name the file.
    """
    count = Count()
    try:
        yield count
    finally:
        if table := os.environ.get("LIGHTBOX_FAULTS_TABLE"):
            row = {"what": what, "tried": count.tried, "held": count.held}
            with Path(table).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
