"""LessonAnswers: what each learner predicted, and whether the run said the same.

A learner is named by their browser, and a question by its lesson and part.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.runs.store.database import Database

Question = tuple[str, str]
"""The names of a lesson and of its part."""


@dataclass(frozen=True, kw_only=True)
class LessonAnswer:
    """A prediction, plain JSON; `is_right` is None until the run has graded it."""

    prediction: Any
    is_right: bool | None


class LessonAnswers:
    """The table of predictions, for any thread and any number of learners. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, learner: str) -> Mapping[Question, LessonAnswer]:
        """All that a learner has answered."""
        sql = "SELECT * FROM lesson_answers WHERE learner = ?"
        found: dict[Question, LessonAnswer] = {}
        for row in self._database.read(sql, (learner,)):
            with suppress(ValueError):
                found[row["lesson"], row["part"]] = LessonAnswer(
                    prediction=json.loads(row["prediction"]),
                    is_right=None if row["is_right"] is None else bool(row["is_right"]),
                )
        return found

    def give(self, learner: str, lesson: str, part: str, prediction: Any) -> None:
        """Keep a prediction. The first one stands: a second, of a double click, changes nothing."""
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO lesson_answers VALUES (?, ?, ?, ?, NULL, ?)",
                (learner, lesson, part, json.dumps(prediction), time.time()),
            )

    def grade(self, learner: str, lesson: str, part: str, *, is_right: bool) -> None:
        """Note what the run says of a prediction."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE lesson_answers SET is_right = ?"
                " WHERE learner = ? AND lesson = ? AND part = ?",
                (is_right, learner, lesson, part),
            )

    def forget(self, learner: str, lesson: str) -> None:
        """Remove a learner's predictions of a lesson, which they then answer again."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM lesson_answers WHERE learner = ? AND lesson = ?", (learner, lesson)
            )
