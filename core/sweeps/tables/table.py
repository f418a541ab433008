"""A table of settings: one picture a row, its columns settings, as an axis of a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.diffusion.settings import GenerationSettings
from core.sweeps.axis import Axis
from core.sweeps.problems import NO_RANDOM_SEED
from core.sweeps.sweep import Sweep, SweepCell
from core.sweeps.tables.named_values import find_setting, no_setting, read_setting, write_setting
from core.sweeps.tables.several import format_several, parse_several
from core.sweeps.values import MAX_VALUES

MAX_ROWS = MAX_VALUES
"""Rows of a table, below its header: as many as an axis has values."""

EMPTY_TEXT = '""'
"""A cell that is an empty text: one without anything leaves the base settings' value."""

_ONLY_QUOTES = re.compile('(?:"")+')


@dataclass(frozen=True, kw_only=True)
class TableProblem:
    """One thing wrong; rows count as their reader numbers them, 0 is the table as a whole."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] * bool(self.row) + [self.column] * bool(self.column)
        return f"{', '.join(where) or 'the table'}: {self.reason}"


class TableError(ValueError):
    """A table that cannot be used; `problems` names everything wrong at once."""

    def __init__(self, problems: Sequence[TableProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, kw_only=True)
class SettingsTable:
    """Setting -> value of each row; what a row does not name stays as the base settings have it.

    `columns` are names of settings; `notes` say what was taken together or left as it was.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def axis(self) -> Axis:
        """An axis with a value a row; of equal rows the first."""
        return Axis(name="settings", values=tuple(dict.fromkeys(map(format_several, self.rows))))


def table_of(sweep: Sweep, cells: Sequence[SweepCell]) -> SettingsTable:
    """The settings of a sweep's cells that its axes change, a row each."""
    varied = sweep.varied() | ({"seed"} if sweep.new_seed else set())
    columns = tuple(name for name in SETTINGS if name in varied)
    rows = ({name: getattr(cell.settings, name) for name in columns} for cell in cells)
    return SettingsTable(columns=columns, rows=tuple(rows))


def table_in(axis: Axis) -> SettingsTable:
    """The table that `SettingsTable.axis` made this axis of. Raises AxisError."""
    rows = tuple(parse_several(value) for value in axis.values)
    named = {name for row in rows for name in row}
    return SettingsTable(columns=tuple(name for name in SETTINGS if name in named), rows=rows)


def write_cell(value: Any) -> str:
    """A value as the text of a cell, which `TableReader` reads back."""
    text = write_setting(value)
    is_only_quotes = text == "" or _ONLY_QUOTES.fullmatch(text) is not None
    return text + EMPTY_TEXT if isinstance(value, str) and is_only_quotes else text


def read_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    numbers: Sequence[int] = (),
    base: GenerationSettings | None = None,
    vae_scale_factor: int = 8,
) -> SettingsTable:
    """A table from rows of values by the settings' names or labels, with the `numbers` by which
    problems name them, from 1 where there are none.

    None, NaN and "" leave the value of the base settings; a row without any value is left out.
    Raises TableError.
    """
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    read = TableReader(names, header_row=0)
    for number, row in zip(numbers or range(1, len(rows) + 1), rows, strict=True):
        if read.is_full():
            break
        read.add(number, [row.get(name) for name in names])
    return read.table(base, vae_scale_factor)


class TableReader:
    """Cells -> SettingsTable, row by row."""

    def __init__(
        self, header: Sequence[str], *, header_row: int, decimal_comma: bool = False
    ) -> None:
        self._problems: list[TableProblem] = []
        self._decimal_comma = decimal_comma
        self._rows: dict[int, dict[str, Any]] = {}
        self._blanks = 0
        while header and not header[-1].strip():
            header = header[:-1]
        self._columns = [self._find(header, at, header_row) for at in range(len(header))]

    def _find(self, header: Sequence[str], at: int, header_row: int) -> Setting | None:
        name = header[at].strip()
        row = find_setting(name)
        earlier = next((one for one in header[:at] if row and find_setting(one) is row), None)
        if not name:
            self.say(header_row, f"column {at + 1}", "has no name, and others after it have one")
        elif row is None:
            self.say(header_row, name, no_setting(name))
        elif earlier is not None:
            self.say(header_row, name, f"is the same column as {earlier.strip()}")
        return row if earlier is None else None

    def is_full(self) -> bool:
        """Return whether no row more is taken; it is a problem then."""
        if len(self._rows) < MAX_ROWS:
            return False
        self.say(0, "", f"has more than {MAX_ROWS:,} rows: {MAX_ROWS:,} are the most")
        return True

    def add(self, number: int, cells: Sequence[Any]) -> None:
        """Read a row; one without any value is left out."""
        if not self._columns or all(_is_blank(cell) for cell in cells):
            return
        values: dict[str, Any] = {}
        self._rows[number] = values
        beyond = [cell for cell in cells[len(self._columns) :] if not _is_blank(cell)]
        if len(cells) < len(self._columns) or beyond:
            self.say(
                number,
                "",
                f"has {len(cells)} cell{'s' * (len(cells) != 1)}, and the header names "
                f"{len(self._columns)} columns",
            )
        for column, cell in zip(self._columns, cells, strict=False):
            if column is None:
                continue
            if _is_blank(cell):
                self._blanks += 1
                continue
            try:
                values[column.name] = self._value(column, cell)
            except ValueError as error:
                self.say(number, column.label, str(error))

    def _value(self, column: Setting, cell: Any) -> Any:
        text = cell if isinstance(cell, str) else write_setting(cell)
        if column.kind is str and _ONLY_QUOTES.fullmatch(text.strip()):
            text = text.strip().removesuffix(EMPTY_TEXT)
        return read_setting(column, text, decimal_comma=self._decimal_comma)

    def table(self, base: GenerationSettings | None, vae_scale_factor: int) -> SettingsTable:
        """All rows, each judged with the rest of the settings of `base`. Raises TableError."""
        if not self._columns and not self._problems:
            self.say(0, "", "is empty: its first row names settings, such as steps,seed")
        elif not self._rows and not self._problems:
            self.say(0, "", "has a header and no rows: add a row for each picture")
        self._judge(base or GenerationSettings(), vae_scale_factor)
        if self._problems:
            raise TableError(sorted(self._problems, key=lambda problem: problem.row))
        return SettingsTable(
            columns=tuple(column.name for column in self._columns if column),
            rows=tuple(self._rows.values()),
            notes=tuple(self._notes()),
        )

    def _judge(self, base: GenerationSettings, vae_scale_factor: int) -> None:
        """What the settings' own validation finds of each row, and not of the base alone."""
        own = {problem.field for problem in base.validate(vae_scale_factor=vae_scale_factor)}
        for number, values in self._rows.items():
            settings = replace(base, **values)
            for problem in settings.validate(vae_scale_factor=vae_scale_factor):
                if problem.field in values or problem.field not in own:
                    is_random = problem.field == "seed" and settings.seed == -1
                    reason = NO_RANDOM_SEED if is_random else problem.reason
                    self.say(number, label_of(problem.field), reason)

    def _notes(self) -> list[str]:
        found: list[str] = []
        if self._blanks:
            cells = (
                "1 empty cell keeps" if self._blanks == 1 else f"{self._blanks} empty cells keep"
            )
            found.append(f"{cells} the value of the base settings")
        first: dict[str, int] = {}
        for number, values in self._rows.items():
            before = first.setdefault(format_several(values), number)
            if before != number:
                found.append(f"row {number} is the same as row {before}: it is one picture")
        return found

    def say(self, row: int, column: str, reason: str) -> None:
        """Note something wrong; `table` then raises."""
        self._problems.append(TableProblem(row=row, column=column, reason=reason))


def _is_blank(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell  # NaN is no value either
