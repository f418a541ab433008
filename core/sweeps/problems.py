"""What is wrong with a sweep, in words for the person who typed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

NO_RANDOM_SEED = (
    "is a random seed, which no cell could be computed from again: list seeds, such as 1-4, or "
    "choose new seeds per column or row"
)


@dataclass(frozen=True, kw_only=True)
class SweepProblem:
    """What is wrong: with which axis, with which of its values ("" for all), and why."""

    axis: str
    value: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.axis}: {self.value}" if self.value else self.axis
        return f"{where}: {self.reason}"


def grouped(found: Sequence[SweepProblem], what: Literal["value", "cell"]) -> list[SweepProblem]:
    """One problem a cause: its first place stands for the others, which are counted."""
    by_cause: dict[tuple[str, str], list[SweepProblem]] = {}
    for problem in found:
        by_cause.setdefault((problem.axis, problem.reason), []).append(problem)
    return [
        replace(first, value=f"{first.value} and {len(more)} more {what}{'s' * (len(more) > 1)}")
        if more
        else first
        for first, *more in by_cause.values()
    ]
