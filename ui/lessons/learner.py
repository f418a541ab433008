"""Learner: who answers, and where their predictions are kept: the flow knows no more of them."""

from __future__ import annotations

from dataclasses import dataclass

from core.lessons.lesson import Lesson, Value
from core.runs.store.opinions.lesson_answers import LessonAnswer, LessonAnswers
from ui.runtime import Runtime, owner_id


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner:
    """A learner by name."""

    name: str
    answers: LessonAnswers

    def given(self, lesson: Lesson, part: str) -> LessonAnswer | None:
        """What they predicted; None before that."""
        return self.answers.of(self.name).get((lesson.name, part))

    def give(self, lesson: Lesson, part: str, value: Value) -> None:
        """Keep a prediction: the first one stands."""
        self.answers.give(self.name, lesson.name, part, value)

    def grade(self, lesson: Lesson, part: str, *, is_right: bool) -> None:
        """Note what the run says of it."""
        self.answers.grade(self.name, lesson.name, part, is_right=is_right)

    def forget(self, lesson: Lesson) -> None:
        """Let them answer a lesson again."""
        self.answers.forget(self.name, lesson.name)


def this_learner(runtime: Runtime) -> Learner:
    """Whoever this browser is."""
    return Learner(name=owner_id(), answers=runtime.lesson_answers)
