"""How hard a test of this folder tries, and what it has held: the table of `make faults`."""

from __future__ import annotations

import json
import os
from pathlib import Path

LONG = os.environ.get("LIGHTBOX_FAULTS") == "long"


def tries(short: int, long: int) -> int:
    """How often to try: `short` with every test run, `long` by `make faults`."""
    return long if LONG else short


def held(what: str, count: int) -> None:
    """Note that `count` tries of a fault were borne, for the table; call it when all of them were.

    Nothing is noted where LIGHTBOX_FAULTS_TABLE does not name the file.
    """
    if table := os.environ.get("LIGHTBOX_FAULTS_TABLE"):
        with Path(table).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "tries": count}) + "\n")
