"""A table of settings as CSV, read and written: what one of both writes the other reads."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from core.diffusion.settings import GenerationSettings
from core.sweeps.tables.named_values import find_setting
from core.sweeps.tables.table import SettingsTable, TableReader, write_cell

DELIMITERS = (",", ";", "\t")
NOT_TEXT = "is not text in UTF-8: save it as CSV (UTF-8) in the spreadsheet"

_SHIELDED = re.compile(r"'+[=+\-@\t\r]")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that gets a quote before it, so that no spreadsheet runs it."""

_LONGEST_LINE = 1_000_000
_WORDS = {
    "unexpected end of data": "has a quote that is never closed",
    "expected after": "has text after a closing quote: a quote inside of quotes is doubled",
    "field limit": f"has a cell of more than {csv.field_size_limit():,} characters",
    "line limit": f"has a line of {_LONGEST_LINE:,} characters or more",
}


def write_csv(table: SettingsTable) -> bytes:
    """A header of the settings' names and a line a row, all texts in quotes.

    UTF-8 with a byte order mark, which spreadsheets need; a lone surrogate becomes a question mark.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(_cell(row[name]) if name in row else None for name in table.columns)
    return buffer.getvalue().encode("utf-8-sig", "replace")


def _cell(value: Any) -> str | int | float:
    if isinstance(value, float) and not value.is_integer():
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    text = write_cell(value)
    return f"'{text}" if _FORMULA.match(text) else text


def read_csv(
    file: BinaryIO, *, base: GenerationSettings | None = None, vae_scale_factor: int = 8
) -> SettingsTable:
    """A table from CSV: a header with names or labels of settings, then rows, separated by commas,
    semicolons or tabs. UTF-8, or UTF-16 with its byte order mark.

    The header is row 1 where nothing stands above it. Each row is judged with the rest of the
    settings of `base`. Raises TableError; of a table of too many rows the rest is not read.
    """
    reader: TableReader | None = None
    number = 1
    try:
        lines = _lines(file)
        first = next(lines, "")
        while first and not first.strip():
            number, first = number + 1, next(lines, "")
        delimiter = _delimiter(first)
        records = csv.reader(
            chain([first], lines), delimiter=delimiter, skipinitialspace=True, strict=True
        )
        header = next(records, [])
        reader = TableReader(header, header_row=number, decimal_comma=delimiter != ",")
        for cells in records:
            number += 1
            if any(cells) and reader.is_full():
                break
            reader.add(number, [_unshielded(cell) for cell in cells])
    except UnicodeError:
        reader = reader or TableReader([], header_row=1)
        reader.say(0, "", NOT_TEXT)
    except csv.Error as error:
        reader = reader or TableReader([], header_row=1)
        reader.say(number + 1, "", _in_words(error))
    return reader.table(base, vae_scale_factor)


def _lines(file: BinaryIO) -> Iterator[str]:
    """The file's lines with their ends. Raises UnicodeError where it is no text, csv.Error where
    a line is longer than any table's.
    """
    mark = file.read(2)
    file.seek(0)
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, newline="")
    while line := text.readline(_LONGEST_LINE):
        if "\x00" in line:
            raise UnicodeError(NOT_TEXT)
        if len(line) == _LONGEST_LINE:
            raise csv.Error("line limit")
        yield line


def _delimiter(header: str) -> str:
    """What separates the cells of a header: by which most are settings, else by which most are."""

    def cells(delimiter: str) -> tuple[int, int]:
        found = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        return sum(find_setting(name) is not None for name in found), len(found)

    return max(DELIMITERS, key=cells)


def _unshielded(cell: str) -> str:
    return cell[1:] if _SHIELDED.match(cell) else cell


def _in_words(error: csv.Error) -> str:
    found = (words for mark, words in _WORDS.items() if mark in str(error))
    return next(found, f"cannot be read as CSV: {error}")
