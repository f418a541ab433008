"""Predictions of learners: the first one stands, each learner has their own."""

from __future__ import annotations

from pathlib import Path

from core.runs.store.opinions.lesson_answers import LessonAnswer, LessonAnswers
from core.runs.store.store import Store


def test_the_first_prediction_stands_until_it_is_forgotten(tmp_path: Path) -> None:
    answers = LessonAnswers(Store(tmp_path).database)
    answers.give("ann", "01-seed", "main", 1)
    answers.give("ann", "01-seed", "main", 2)
    answers.give("ann", "03-guidance", "main", [2, 0, 1])
    answers.give("bob", "01-seed", "main", 0)
    answers.grade("ann", "01-seed", "main", is_right=False)
    assert answers.of("ann") == {
        ("01-seed", "main"): LessonAnswer(prediction=1, is_right=False),
        ("03-guidance", "main"): LessonAnswer(prediction=[2, 0, 1], is_right=None),
    }
    answers.forget("ann", "01-seed")
    assert list(answers.of("ann")) == [("03-guidance", "main")]
    assert answers.of("bob") == {("01-seed", "main"): LessonAnswer(prediction=0, is_right=None)}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    database = Store(tmp_path).database
    answers = LessonAnswers(database)
    answers.give("ann", "01-seed", "main", 1)
    answers.give("ann", "02-steps", "main", 8.0)
    with database.write() as connection:
        connection.execute("UPDATE lesson_answers SET prediction = '{' WHERE lesson = '01-seed'")
    assert list(answers.of("ann")) == [("02-steps", "main")]
