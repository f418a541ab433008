"""TAKES: from the numbers of the candidates to the one answer, a row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.lessons.lesson import Kind, Value
from core.lessons.measured import Argument, Measured
from core.lessons.run import LessonError


@dataclass(frozen=True, kw_only=True)
class TakeRow:
    """One way to an answer, and the kinds of question that it is for. `take` is called with what
    was measured and every argument.
    """

    take: Callable[..., Value]
    kinds: tuple[Kind, ...]
    about: str
    arguments: Mapping[str, Argument] = field(default_factory=dict[str, Argument])


def largest(measured: Measured) -> int:
    """The index of the candidate with the largest number."""
    return max(range(len(measured.values)), key=measured.values.__getitem__)


def smallest(measured: Measured, skip: int = -1) -> int:
    """The index of the candidate with the smallest number; one candidate may be skipped, and is
    then not counted.
    """
    left = [value for index, value in enumerate(measured.values) if index != skip]
    return min(range(len(left)), key=left.__getitem__)


def bin_of(measured: Measured, *, at: int, bounds: list[float]) -> int:
    """The number of `bounds` that a candidate's number reaches: 0 below the first."""
    value = _at(measured, at)
    return sum(value >= bound for bound in bounds)


def bin_of_ratio(measured: Measured, *, at: int, to: int, bounds: list[float]) -> int:
    """The number of `bounds` that the ratio of two candidates' numbers reaches."""
    value = ratio(measured, at=at, to=to)
    return sum(value >= bound for bound in bounds)


def value(measured: Measured, *, at: int) -> float:
    """The number of one candidate."""
    return _at(measured, at)


def ratio(measured: Measured, *, at: int, to: int) -> float:
    """The number of one candidate over that of another. Raises LessonError."""
    divisor = _at(measured, to)
    if not divisor:
        raise LessonError("a number to divide by is 0")
    return _at(measured, at) / divisor


def first_below(measured: Measured, *, limit: float) -> float:
    """The first candidate, a number, from which on all are below a limit. Raises LessonError."""
    if measured.numbers is None:
        raise LessonError("the values of the axis are no numbers")
    found = None
    for number, value in zip(reversed(measured.numbers), reversed(measured.values), strict=True):
        if value >= limit:
            break
        found = number
    if found is None:
        raise LessonError(f"none is below {limit:g}")
    return found


def count_above(measured: Measured, *, limit: float) -> float:
    """How many candidates are above a limit."""
    return float(sum(value > limit for value in measured.values))


def rising(measured: Measured) -> tuple[int, ...]:
    """The candidates' indices from the smallest number to the largest."""
    return tuple(sorted(range(len(measured.values)), key=measured.values.__getitem__))


def falling(measured: Measured) -> tuple[int, ...]:
    """The candidates' indices from the largest number to the smallest."""
    return tuple(reversed(rising(measured)))


def _at(measured: Measured, index: int) -> float:
    try:
        return measured.values[index]
    except IndexError as error:
        raise LessonError(f"there is no candidate {index}") from error


def taken(measured: Measured, name: str, arguments: Mapping[str, Any]) -> Value:
    """The answer by a row of TAKES, with the defaults of what is not given. Raises LessonError."""
    row = TAKES[name]
    defaults = {key: one.default for key, one in row.arguments.items()}
    return row.take(measured, **{**defaults, **arguments})


_AT, _TO = Argument(default=0), Argument(default=0)
_BOUNDS = Argument(default=[])

TAKES: Mapping[str, TakeRow] = {
    "largest": TakeRow(
        take=largest, kinds=("choice", "place"), about="the candidate with the largest number"
    ),
    "smallest": TakeRow(
        take=smallest,
        kinds=("choice",),
        about="the candidate with the smallest number; `skip` leaves one out of the options",
        arguments={"skip": Argument(default=-1)},
    ),
    "bin": TakeRow(
        take=bin_of,
        kinds=("choice",),
        about="how many of `bounds` the number of the candidate `at` reaches",
        arguments={"at": _AT, "bounds": _BOUNDS},
    ),
    "bin of ratio": TakeRow(
        take=bin_of_ratio,
        kinds=("choice",),
        about="how many of `bounds` the number of the candidate `at` over that of `to` reaches",
        arguments={"at": _AT, "to": _TO, "bounds": _BOUNDS},
    ),
    "value": TakeRow(
        take=value,
        kinds=("number",),
        about="the number of the candidate `at`",
        arguments={"at": _AT},
    ),
    "ratio": TakeRow(
        take=ratio,
        kinds=("number",),
        about="the number of the candidate `at` over that of `to`",
        arguments={"at": _AT, "to": _TO},
    ),
    "first below": TakeRow(
        take=first_below,
        kinds=("number",),
        about="the first value of the axis from which on all numbers are below `limit`",
        arguments={"limit": Argument(default=10.0)},
    ),
    "count above": TakeRow(
        take=count_above,
        kinds=("number",),
        about="how many numbers are above `limit`",
        arguments={"limit": Argument(default=0.0)},
    ),
    "rising": TakeRow(take=rising, kinds=("order",), about="from the smallest to the largest"),
    "falling": TakeRow(take=falling, kinds=("order",), about="from the largest to the smallest"),
}
