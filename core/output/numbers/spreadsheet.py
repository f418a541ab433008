"""What a spreadsheet needs of a CSV file, and what it must not be given."""

from __future__ import annotations

from typing import Any

ENCODING = "utf-8-sig"
"""With the byte order mark without which spreadsheets guess at the letters."""

LINE_END = "\r\n"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(value: Any) -> Any:
    """A value for a CSV cell: a text that a spreadsheet would run as a formula gets a quote."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def encoded(text: str) -> bytes:
    """A CSV file's bytes; a lone surrogate becomes a question mark."""
    return text.encode(ENCODING, "replace")
