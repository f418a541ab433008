"""What a run answers, whether that is the stated answer, and whether a prediction is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from core.diffusion.events import Record
from core.lessons.lesson import PLACES, Answer, Ask, Challenge, Value
from core.lessons.measured import Measured
from core.lessons.measures import MEASURES
from core.lessons.run import LessonRun
from core.lessons.takes import taken
from core.runs.store.store import Store
from core.sweeps.plan import Plan

NEAR = 0.5
"""Of the largest change in a place: from that on another place is a right answer too."""


@dataclass(frozen=True, kw_only=True)
class Graded:
    """What a run answers. `also` are the places that are right beside the answer."""

    measured: Measured
    answer: Value
    also: tuple[int, ...] = ()


def record_of(challenge: Challenge) -> Record:
    """What of each step the question's measure looks at."""
    return MEASURES[challenge.answer.measure].record


def lacking(challenge: Challenge, plan: Plan, store: Store) -> list[int]:
    """The indices of the cells that are not stored as the measure needs them, each picture once."""
    stored = store.holds(plan.digests, record_of(challenge))
    found = dict[str, int]()
    for index, digest in enumerate(plan.digests):
        if digest not in stored:
            found.setdefault(digest, index)
    return list(found.values())


def grade(run: LessonRun) -> Graded:
    """The answer of a whole run. Raises LessonError."""
    answer = run.challenge.answer
    row = MEASURES[answer.measure]
    defaults = {key: one.default for key, one in row.arguments.items()}
    measured = row.measure(run, **{**defaults, **answer.with_})
    found = taken(measured, answer.take, answer.taking)
    also: tuple[int, ...] = ()
    if run.challenge.ask.kind == "place":
        most = max(measured.values)
        also = tuple(n for n, value in enumerate(measured.values) if value >= NEAR * most)
    return Graded(measured=measured, answer=found, also=also)


def is_right(answer: Answer, ask: Ask, graded: Graded, predicted: Value) -> bool:
    """Whether a prediction is what the run says, within the lesson's tolerance."""
    if ask.kind == "place":
        return predicted in graded.also
    if ask.kind != "number":
        return predicted == graded.answer
    one, other = as_number(predicted), as_number(graded.answer)
    if answer.factor > 1 and min(one, other) > 0:
        return max(one, other) / min(one, other) <= answer.factor * (1 + 1e-9)
    return abs(one - other) <= answer.tolerance + 1e-9


def broken(challenge: Challenge, graded: Graded) -> str:
    """Why the run no longer gives the stated answer; "" where it does."""
    ask, stated = challenge.ask, challenge.answer.stated
    if ask.kind == "number":
        low, high = stated
        is_stated = low <= as_number(graded.answer) <= high
        wanted = f"{low:g} to {high:g}"
    elif ask.kind == "order":
        is_stated, wanted = graded.answer == stated, said(ask, tuple(int(n) for n in stated))
    else:
        is_stated = graded.answer in stated
        wanted = " or ".join(said(ask, int(n)) for n in stated)
    if is_stated:
        return ""
    numbers = ", ".join(
        f"{name} {value:.4g}"
        for name, value in zip(graded.measured.candidates, graded.measured.values, strict=True)
    )
    return f"the run says {said(ask, graded.answer)}, the lesson states {wanted} ({numbers})"


def said(ask: Ask, value: Value) -> str:
    """A prediction or an answer in words."""
    match ask.kind:
        case "choice":
            return ask.options[as_index(value)]
        case "place":
            return PLACES[as_index(value)]
        case "order":
            return ", ".join(ask.options[n] for n in as_order(value))
        case "number":
            whole = float(ask.step).is_integer()
            number = as_number(value)
            shown = f"{number:.0f}" if whole and number.is_integer() else f"{number:.3g}"
            return f"{shown} {ask.unit}".strip()


def pairs_in_order(predicted: Sequence[int], answer: Sequence[int]) -> tuple[int, int]:
    """How many pairs of an order are as in the answer, and how many pairs there are."""
    at = {one: place for place, one in enumerate(answer)}
    pairs = list(combinations(predicted, 2))
    return sum(at[one] < at[other] for one, other in pairs), len(pairs)


def read_value(ask: Ask, stored: Any) -> Value | None:
    """A prediction as it was stored in JSON; None for one that fits the question no longer."""
    match ask.kind:
        case "choice" | "place":
            count = len(ask.options) if ask.kind == "choice" else len(PLACES)
            return stored if type(stored) is int and 0 <= stored < count else None
        case "number":
            is_number = isinstance(stored, int | float) and not isinstance(stored, bool)
            return float(stored) if is_number and ask.low <= stored <= ask.high else None
        case "order":
            fits = isinstance(stored, list | tuple)
            fits = fits and sorted(map(str, stored)) == sorted(map(str, range(len(ask.options))))
            return tuple(int(one) for one in stored) if fits else None


def as_number(value: Value) -> float:
    """The value of a number's question."""
    assert not isinstance(value, tuple)
    return float(value)


def as_index(value: Value) -> int:
    """The value of a choice's or a place's question."""
    assert isinstance(value, int)
    return value


def as_order(value: Value) -> tuple[int, ...]:
    """The value of an order's question."""
    assert isinstance(value, tuple)
    return value
