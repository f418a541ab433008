"""A person's own numbers of a grid's pictures, read from CSV: what a spreadsheet writes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from core.diffusion.settings import GenerationSettings
from core.output.numbers.quantities import QUANTITIES
from core.runs.store.measured.own import MAX_NAME
from core.sweeps.axis import Axis
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep

SHORTEST_DIGEST = 8
MOST_SAID = 8
"""Rows that are named for one reason."""

MOST_BYTES = 5_000_000
_PLACE = ("x", "y", "z")
_OTHERS = {"file", "reason", "digest", *_PLACE, *QUANTITIES}
"""Columns of the CSV that a sweep is exported as, besides its axes and settings."""


class OwnNumbersError(ValueError):
    """A file that has no number for this grid; `problems` has a sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(problems))


@dataclass(frozen=True, kw_only=True)
class OwnTable:
    """What was read: measure -> digest -> number; `problems` name the rows that were left out."""

    numbers: Mapping[str, Mapping[str, float]]
    problems: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many pictures have a number."""
        return len({digest for found in self.numbers.values() for digest in found})


def read_own_numbers(data: bytes, sweep: Sweep, plan: Plan) -> OwnTable:
    """The numbers of a CSV file: a row is found by `digest`, by x, y and z as the exported CSV
    counts them, or by the values of every axis; each column that is none of these, and none that
    the exported CSV has, is a measure. Rows that cannot be used are left out and named.

    Raises OwnNumbersError where none can.
    """
    records = list(_records(data))
    header, rows = ([], []) if not records else (records[0][1], records[1:])
    finder = _Finder(sweep, plan, header)
    known = {*_OTHERS, *(field.name for field in fields(GenerationSettings)), *finder.axis_columns}
    columns = [
        (index, " ".join(name.split()))
        for index, name in enumerate(header)
        if name.strip() and name not in known
    ]
    problems = _problems_of_header(finder, columns, rows)
    if problems:
        raise OwnNumbersError(problems)
    found: dict[str, dict[str, float]] = {name: {} for _, name in columns}
    left_out: dict[str, list[int]] = {}
    for line, row in rows:
        digest = finder.digest_of(row)
        if digest is None:
            left_out.setdefault("match no cell of this grid", []).append(line)
            continue
        for index, name in columns:
            text = row[index].strip() if index < len(row) else ""
            value = _number(text)
            if text and value is None:
                left_out.setdefault(f"{name} is no finite number", []).append(line)
            elif value is not None and found[name].setdefault(digest, value) != value:
                left_out.setdefault(f"{name} has another number for the same picture", []).append(
                    line
                )
    problems = tuple(_said(reason, lines) for reason, lines in left_out.items())
    numbers = {name: values for name, values in found.items() if values}
    if not numbers:
        raise OwnNumbersError(problems or ("Its columns hold no number.",))
    return OwnTable(numbers=numbers, problems=problems)


class _Finder:
    """Finds a row's picture by the columns that the file has."""

    def __init__(self, sweep: Sweep, plan: Plan, header: Sequence[str]) -> None:
        places = {name: index for index, name in reversed(list(enumerate(header)))}
        self._digests = tuple(dict.fromkeys(plan.digests))
        self._digest_at = {
            (cell.x, cell.y, cell.z): digest
            for cell, digest in zip(plan.cells, plan.digests, strict=True)
        }
        self._digest = places.get("digest")
        self._place = {name: places[name] for name in _PLACE if name in places}
        axes = sweep.axes()
        self._axes = {
            side: column
            for side, axis in axes.items()
            if (column := places.get(axis.label(), places.get(axis.name))) is not None
        }
        self._values = {side: _indices(axis) for side, axis in axes.items()}
        self.axis_columns = {name for axis in axes.values() for name in (axis.label(), axis.name)}
        has_place = set(axes) <= set(self._place)
        has_axes = set(axes) <= set(self._axes)
        self.can_find = self._digest is not None or has_place or has_axes
        self._by_place = has_place and bool(self._place or not axes)

    def digest_of(self, row: Sequence[str]) -> str | None:
        """By the first of the columns that this row fills."""
        cells = [text.strip().removeprefix("'") for text in row]

        def text(column: int) -> str:
            return cells[column] if column < len(cells) else ""

        if self._digest is not None and (digest := text(self._digest)):
            found = [one for one in self._digests if one.startswith(digest)]
            return found[0] if len(found) == 1 and len(digest) >= SHORTEST_DIGEST else None
        at: dict[str, int] = dict.fromkeys(_PLACE, 0)
        if self._by_place and all(text(column) for column in self._place.values()):
            for side, column in self._place.items():
                number = _number(text(column))
                if number is None or number != int(number):
                    return None
                at[side] = int(number)
        elif set(self._values) <= set(self._axes):
            for side, column in self._axes.items():
                index = self._values[side].get(text(column)) or self._values[side].get(
                    _as_number(text(column))
                )
                if index is None or len(index) != 1:
                    return None
                at[side] = index[0]
        else:
            return None
        return self._digest_at.get((at["x"], at["y"], at["z"]))


def _indices(axis: Axis) -> dict[str, list[int]]:
    """What a value may be written as -> the indices of the values that are."""
    found: dict[str, list[int]] = {}
    for index in range(len(axis.values)):
        names = {axis.value_label(index).strip(), axis.whole_value(index).strip()}
        for name in names | {_as_number(one) for one in names}:
            found.setdefault(name, []).append(index)
    return found


def _as_number(text: str) -> str:
    """A number as it is written shortest, so that 3 and 3.0 are one; other text as it is."""
    value = _number(text)
    return text if value is None else f"{value!r}"


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _problems_of_header(
    finder: _Finder, columns: Sequence[tuple[int, str]], rows: Sequence[object]
) -> list[str]:
    found: list[str] = []
    if not rows:
        found.append("It has no rows: the first line names the columns, each other one is a cell.")
    if not finder.can_find:
        found.append("No column says which cell a row is: digest; or x, y and z; or each axis.")
    if not columns:
        found.append("No column holds numbers of your own: add one, with a name of its own.")
    found += [
        f"The name “{name[:MAX_NAME]}…” is longer than {MAX_NAME} characters: shorten it."
        for _, name in columns
        if len(name) > MAX_NAME
    ]
    names = [name for _, name in columns]
    found += [
        f"Two columns are called {name}." for name in sorted(set(names)) if names.count(name) > 1
    ]
    return found


def _said(reason: str, lines: Sequence[int]) -> str:
    lines = list(dict.fromkeys(lines))
    named = ", ".join(map(str, lines[:MOST_SAID]))
    more = f" and {len(lines) - MOST_SAID} more" if len(lines) > MOST_SAID else ""
    rows = "Row" if len(lines) == 1 else "Rows"
    if reason.startswith("match"):
        verb = "matches" if len(lines) == 1 else "match"
        return f"{rows} {named}{more} {verb} no cell of this grid."
    return f"{rows} {named}{more}: {reason}."


def _records(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each record that is not empty. Raises OwnNumbersError."""
    if len(data) > MOST_BYTES:
        raise OwnNumbersError([f"It is larger than {MOST_BYTES // 1_000_000} MB."])
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeError:
        raise OwnNumbersError(["It is not text in UTF-8: save it as CSV (UTF-8)."]) from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.replace("\x00", "") for cell in cells]
    except csv.Error as error:
        raise OwnNumbersError([f"Row {reader.line_num + 1} cannot be read: {error}."]) from None
