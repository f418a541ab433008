"""Lesson: a question whose answer a run computes, and all that is said around it. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.sweeps.sweep import Sweep

Kind = Literal["choice", "number", "order", "place"]
KINDS: tuple[Kind, ...] = ("choice", "number", "order", "place")

Value = int | float | tuple[int, ...]
"""A prediction or a measured answer: the index of an option or of a place, a number, or the
indices of the pictures in their order.
"""

MAIN, TRANSFER = "main", "transfer"
PARTS = (MAIN, TRANSFER)
"""The two questions of a lesson, as they are stored."""

PLACES = (
    "top left",
    "top",
    "top right",
    "left",
    "centre",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)
"""The nine places of a picture, row by row."""

SIDE = 3
"""Places in a row of a picture."""

At = tuple[int, int]
"""A cell of the run: its column and row from 0."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be predicted. `options` are those of a choice, or what the pictures of an order
    are called; a number lies between `low` and `high` on steps of `step`, in `unit`.
    """

    kind: Kind
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How the run answers: a row of MEASURES and one of TAKES with their arguments, and the stated
    answer.

    `stated` are the right options of a choice (more than one where a seed decides), the lowest and
    the highest number, the order, or the right places. A predicted number is right within
    `tolerance` of the measured one, or within a `factor` of it where that is above 1. `says` is the
    sentence of the reveal, with {answer} in it.
    """

    measure: str
    take: str
    stated: tuple[int, ...] | tuple[float, float]
    with_: Mapping[str, Any] = field(default_factory=dict[str, Any])
    taking: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tolerance: float = 0.0
    factor: float = 1.0
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskOf:
    """A named task that the run needs beside its cells, on the settings of its first cell."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One question and the run that answers it. `shown` are the cells that are seen before the
    prediction; `figure` is a row of FIGURES.
    """

    question: str
    sweep: Sweep
    shown: tuple[At, ...]
    ask: Ask
    answer: Answer
    figure: str
    tasks: tuple[TaskOf, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Next:
    """What to try next: a page of NEXT_PAGES, opened with the settings of the lesson's run, some of
    them changed.
    """

    page: str
    words: str
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])


NEXT_PAGES = (
    "Sweep",
    "Generate",
    "Image to image",
    "Step by step",
    "Latents",
    "Film",
    "Schedulers",
)
"""The pages that a lesson may lead to."""

COURSES: Mapping[str, str] = {
    "hugging_face": "Hugging Face Diffusion Course",
    "fast_ai": "fast.ai, part 2 (2022)",
    "mit": "MIT 6.S184 (2025)",
}
"""The courses that lessons are mapped to, by their names in a lesson's file."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A lesson as its file says; `name` is the file's, `is_own` that a user wrote it.

    `before` is said above the question, `why` after the reveal with its `source` and where that
    is. `usually` (what learners predict) and `say` are notes for a teacher.
    """

    name: str
    title: str
    teaches: str
    minutes: int
    before: str
    main: Challenge
    transfer: Challenge
    why: str
    source: str
    link: str
    next: tuple[Next, ...]
    usually: str
    say: str
    courses: Mapping[str, str]
    path: Path
    is_own: bool = False

    def part(self, name: str) -> Challenge:
        """The question of one of PARTS."""
        return self.transfer if name == TRANSFER else self.main

    def texts(self) -> list[tuple[str, str]]:
        """Every text that a person reads, by where it stands in the file."""
        found = [
            ("title", self.title),
            ("teaches", self.teaches),
            ("before", self.before),
            ("why", self.why),
            ("notes: usually", self.usually),
            ("notes: say", self.say),
            *((f"next {index}", one.words) for index, one in enumerate(self.next, start=1)),
        ]
        for part, one in ((MAIN, self.main), (TRANSFER, self.transfer)):
            found += [(f"{part}: question", one.question), (f"{part}: says", one.answer.says)]
            found += [(f"{part}: option", option) for option in one.ask.options]
        return [(place, text) for place, text in found if text]
