"""What a spreadsheet needs of a CSV file, and what it must not be given."""

from __future__ import annotations

import re
from typing import Any

ENCODING = "utf-8-sig"
"""With the byte order mark without which spreadsheets guess at the letters."""

LINE_END = "\r\n"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(value: Any) -> Any:
    """A value for a CSV cell: a text that a spreadsheet would run as a formula gets a quote. A
    number that is written as text ("-0.5", as axes label their values) is no formula.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def encoded(text: str) -> bytes:
    """A CSV file's bytes; a lone surrogate becomes a question mark."""
    return text.encode(ENCODING, "replace")
