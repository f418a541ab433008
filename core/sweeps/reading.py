"""The text of an axis' values and back: what the value syntax itself does not know of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import Any

from core.diffusion.recipe.prompt.marks import MANY, MarkError, Marks
from core.sweeps.axes import AxisRow
from core.sweeps.values import (
    MAX_VALUES,
    ParsedValues,
    ValueProblem,
    ValuesError,
    format_values,
    read_values,
    without_duplicates,
)

MOST_TERMS = 5
"""Terms whose orders are an axis: five have 120, six would have 720."""


def read_axis(row: AxisRow, text: str, marks: Marks | None = None) -> ParsedValues:
    """The values of an axis from text in the value syntax.

    With `marks` each choice and wildcard in a text's value stands for one value each, several for
    all their combinations; without, it stays in the value, and is drawn for each cell. An axis of
    orders has every order of the listed terms, as tuples, the listed one first. Raises ValuesError.
    """
    found = read_values(text, row.kind)
    if row.orders:
        return _orders(found, text)
    if marks is None or not row.has_marks:
        return found
    return _expanded(found.written, marks)


def axis_text(row: AxisRow, values: Sequence[Any]) -> str:
    """A text that `read_axis` reads back as these values: of orders the terms, as they were
    listed.
    """
    return format_values(kept_values(row, values))


def kept_values(row: AxisRow, values: Sequence[Any]) -> list[Any]:
    """The values as they are kept in a file, a link or a form: of orders the terms alone."""
    return list(values[0]) if row.orders and values else list(values)


def _orders(found: ParsedValues, text: str) -> ParsedValues:
    terms = found.values
    reason = ""
    if not all(terms):
        reason = "a term is empty: an order has words of the prompt"
    elif len(terms) > MOST_TERMS:
        reason = (
            f"{len(terms)} terms have {factorial(len(terms)):,} orders: name up to {MOST_TERMS}, "
            f"which have {factorial(MOST_TERMS)}"
        )
    elif len(terms) < 2:
        reason = f"one term has one order: name two to {MOST_TERMS}, separated by commas"
    if reason:
        raise ValuesError([ValueProblem(place=0, text=text, reason=reason)])
    orders = tuple(permutations(terms))
    return ParsedValues(written=orders, values=orders, duplicates=found.duplicates)


def _expanded(values: Sequence[str], marks: Marks) -> ParsedValues:
    found: list[str] = []
    problems: list[ValueProblem] = []
    for place, value in enumerate(values, start=1):
        try:
            count = marks.count(value)
            if count + len(found) <= MAX_VALUES:
                found += marks.values(value)
                continue
            before = f" beside {len(found)} others" if found else ""
            many = f"more than {MANY:,}" if count > MANY else f"{count:,}"
            reason = (
                f"would be {many} values{before}; an axis takes {MAX_VALUES}: shorten a list, "
                "or put it in the prompt, where it is drawn for each seed"
            )
        except MarkError as error:
            reason = f"cannot be read: {error}"
            if value.count("{") > value.count("}"):
                reason += '; quotes keep the commas of a value: "{a, b|c}"'
        problems.append(ValueProblem(place=place, text=value, reason=reason))
    if problems:
        raise ValuesError(problems)
    return without_duplicates(found)
