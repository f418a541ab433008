"""The value syntax of an axis: "1-5", "1-10 (+3)", "0-1 [5]", "1, 2, .., 10".

A comma-separated list whose forms may be mixed and whose values may be quoted. All arithmetic is
decimal, so that 1-2 (+0.3) is 1, 1.3, 1.6, 1.9 and not 1.6000000000000001.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

MAX_VALUES = 1000
"""More than this on one axis is refused, before anything is built."""

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(rf"{_NUMBER}(?:[eE][+-]?\d{{1,2}})?")
_RANGE = re.compile(
    rf"({_NUMBER})\s*-\s*({_NUMBER})(?:\s*\(\s*({_NUMBER})\s*\)|\s*\[\s*({_NUMBER})\s*\])?"
)
_DOTS = ("..", "...")
_LONGEST = 30
"""Characters of a number: beyond it decimal arithmetic would no longer be exact."""


@dataclass(frozen=True, kw_only=True)
class ValueProblem:
    """One bad item of a list; `place` counts the items from 1, 0 is the list as a whole."""

    place: int
    text: str
    reason: str

    def __str__(self) -> str:
        where = f"value {self.place} ({self.text!r}) " if self.place else ""
        return f"{where}{self.reason}"


class ValuesError(ValueError):
    """A list that cannot be read; `problems` names every bad item at once."""

    def __init__(self, problems: Sequence[ValueProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, problems)))


@dataclass(frozen=True, kw_only=True)
class ParsedValues:
    """All values as written; those values without repetition; which ones were repeated."""

    written: tuple[Any, ...]
    values: tuple[Any, ...]
    duplicates: tuple[Any, ...]


def parse_values(text: str, kind: type[int | float | str]) -> list[Any]:
    """The values of an axis: `parse_values("1-2 (+0.3)", kind=float)` -> [1.0, 1.3, 1.6, 1.9].

    Raises ValuesError.
    """
    return list(read_values(text, kind).values)


def read_values(text: str, kind: type[int | float | str]) -> ParsedValues:
    """Read an axis' values as `parse_values` does, and say which duplicates were dropped. Raises
    ValuesError.
    """
    items = _split(text)
    if not items:
        raise ValuesError([ValueProblem(place=0, text=text, reason="there are no values")])
    if kind is str:
        if len(items) > MAX_VALUES:
            raise ValuesError([too_many(text)])
        return without_duplicates([item.text for item in items])
    numbers: list[Decimal] = []
    problems: list[ValueProblem] = []
    plain_before = 0  # how many plain numbers stand directly before this item
    skip = False
    for index, item in enumerate(items):
        if skip:
            skip = False
            continue
        try:
            if item.text in _DOTS and not item.is_quoted:
                end = items[index + 1] if index + 1 < len(items) else None
                numbers += _continued(numbers, plain_before, end, kind)
                skip, plain_before = True, 0
            else:
                found = _expand(item.text, kind, room=MAX_VALUES - len(numbers))
                plain_before = plain_before + 1 if _PLAIN.fullmatch(item.text) else 0
                numbers += found
        except _Bad as bad:
            problems.append(ValueProblem(place=index + 1, text=item.text, reason=bad.reason))
            skip, plain_before = bad.swallows_next, 0
    if len(numbers) > MAX_VALUES:
        problems.append(too_many(text))
    if problems:
        if hints := value_hints(text, kind):
            first = problems[0]
            problems[0] = replace(first, reason="; ".join([first.reason, *hints]))
        raise ValuesError(problems)
    return without_duplicates([kind(number) for number in numbers])


_HINTS: tuple[tuple[str, str], ...] = (
    (r"[，、；]", "separate values by a plain comma: this list has another one"),
    (r"[“”„«»]", 'quotes that keep a comma are straight: "a, b"'),
    (r"[\r\n]", "separate values by commas, not by line ends"),
    (r"\|\|", 'values are separated by commas, not by "||"'),
    (r"^\s*'[^']*,.*'\s*(,|$)", "single quotes are apostrophes: use double ones to keep a comma"),
)
"""What people write where this syntax means something else, and what to write."""

_NUMBER_HINTS = (*_HINTS, (r"[–—−]", "a minus or a range is written with a plain hyphen: 1-5"))


def value_hints(text: str, kind: type[int | float | str]) -> list[str]:
    """What looks as if it was meant otherwise: other programs' commas, quotes, dashes and
    separators, and a quote that never closes. The list is read all the same.
    """
    found = [
        hint
        for pattern, hint in (_HINTS if kind is str else _NUMBER_HINTS)
        if re.search(pattern, text)
    ]
    if any(not item.is_quoted and item.text.startswith('"') for item in _split(text)):
        found.append("a quote never closes: a value in quotes ends with a quote and a comma")
    return found


def format_values(values: Sequence[Any]) -> str:
    """A text that `parse_values` reads back as exactly these values."""
    return ", ".join(_format(value) for value in values)


def _format(value: Any) -> str:
    if not isinstance(value, str):
        text = format(Decimal(repr(value)).normalize(), "f")  # 3, not 3.0
        return text if len(text) <= _LONGEST else repr(value)
    needs_quotes = value != value.strip() or not value or "," in value or value[0] == '"'
    return '"' + value.replace('"', '""') + '"' if needs_quotes else value


class _Bad(Exception):  # noqa: N818 - caught where it is raised, never seen by a caller
    def __init__(self, reason: str, *, swallows_next: bool = False) -> None:
        self.reason = reason
        self.swallows_next = swallows_next


@dataclass(frozen=True)
class _Item:
    text: str
    is_quoted: bool


def _split(text: str) -> list[_Item]:
    """Splits at commas outside double quotes; inside them a quote is doubled, as in CSV. A single
    quote is an apostrophe: 80s, rockin'.
    """
    items: list[_Item] = []
    position = 0
    while position <= len(text):
        start = position + len(text[position:]) - len(text[position:].lstrip())
        if (quoted := _read_quoted(text, start)) is not None:
            value, position = quoted
            items.append(_Item(value, is_quoted=True))
            continue
        comma = text.find(",", position)
        end = len(text) if comma < 0 else comma
        items.append(_Item(text[position:end].strip(), is_quoted=False))
        position = end + 1
    while items and not items[-1].text and not items[-1].is_quoted:
        items.pop()  # a trailing comma is fine
    return items


_QUOTED = re.compile(r'"((?:[^"]|"")*)"\s*(,|$)')


def _read_quoted(text: str, start: int) -> tuple[str, int] | None:
    """The quoted value at `start` and where the next item begins; None if it never closes."""
    match = _QUOTED.match(text, start)
    if match is None:
        return None
    return match[1].replace('""', '"'), match.end() + (0 if match[2] else 1)


def _expand(text: str, kind: type, *, room: int) -> list[Decimal]:
    if not text:
        raise _Bad("is empty")
    if _PLAIN.fullmatch(text):
        return [_number(text, kind)]
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _Bad('is not a number, nor a range such as "1-5", "1-10 (+3)" or "0-1 [5]"')
    start, end = _number(match[1], kind), _number(match[2], kind)
    if match[4] is not None:
        return _evenly(start, end, match[4], kind, room)
    step = Decimal(1 if end >= start else -1)
    if match[3] is not None:
        step = _number(match[3], kind)
        if step == 0:
            raise _Bad("has a step of zero, which never reaches the end")
        if (end - start) * step < 0:
            raise _Bad(f"steps away from its end: use ({'+' if step < 0 else '-'}{abs(step)})")
    return _stepped(start, end, step, room)


def _stepped(start: Decimal, end: Decimal, step: Decimal, room: int) -> list[Decimal]:
    count = int((end - start) / step) + 1
    if count > room:
        raise _Bad(f"would be {count} values; an axis takes {MAX_VALUES}")
    return [start + step * index for index in range(count)]


def _evenly(start: Decimal, end: Decimal, text: str, kind: type, room: int) -> list[Decimal]:
    count = _number(text, int)
    if count < 2:
        raise _Bad("needs at least [2] values to have both its ends")
    if count > room:
        raise _Bad(f"would be {count} values; an axis takes {MAX_VALUES}")
    last = int(count) - 1
    found = [start + (end - start) * index / last for index in range(last)] + [end]
    if kind is int and any(value != int(value) for value in found):
        raise _Bad(f"does not give whole numbers in [{count}] even parts: use a (+step)")
    return found


def _continued(
    before: list[Decimal], plain_before: int, end: _Item | None, kind: type
) -> list[Decimal]:
    """What ".." stands for: the run of the last two values, on to the next item."""
    if end is None:
        raise _Bad("needs an end after it, as in 1, 2, .., 10")
    if plain_before < 2:
        raise _Bad("needs two values before it, as in 1, 2, .., 10", swallows_next=True)
    if not _PLAIN.fullmatch(end.text):
        raise _Bad(f"needs a number after it, not {end.text!r}", swallows_next=True)
    first, second = before[-2:]
    last, step = _number(end.text, kind), second - first
    if step == 0 or (last - second) * step < 0:
        raise _Bad(f"never reaches {end.text} from {first}, {second}", swallows_next=True)
    run = _stepped(second, last, step, MAX_VALUES - len(before) + 1)
    return run[1:]


def _number(text: str, kind: type) -> Decimal:
    if len(text) > _LONGEST:
        raise _Bad("is too long a number")
    value = Decimal(text)
    if kind is int and value != value.to_integral_value():
        raise _Bad(f"{text} is not a whole number" if text else "is not a whole number")
    return value


def too_many(text: str) -> ValueProblem:
    """What is wrong with a list that is too long."""
    return ValueProblem(place=0, text=text, reason=f"there are more than {MAX_VALUES} values")


def without_duplicates(values: Sequence[Any]) -> ParsedValues:
    """Values as they were written, each once, and which were repeated."""
    seen: dict[Any, None] = {}
    duplicates: dict[Any, None] = {}
    for value in values:
        (duplicates if value in seen else seen)[value] = None
    return ParsedValues(written=tuple(values), values=tuple(seen), duplicates=tuple(duplicates))
