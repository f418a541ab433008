"""The worksheet of every lesson: a page to fill in, and a page for the teacher."""

from __future__ import annotations

import pypdfium2
import pytest
from PIL import Image

from core.lessons.lesson import Lesson
from core.lessons.shelf import find_lessons
from core.lessons.worksheet import write_worksheet

LESSONS = find_lessons().lessons


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.name)
def test_two_pages_and_no_answer_on_the_first(lesson: Lesson) -> None:
    picture = Image.new("RGB", (128, 128), "red")
    shown = tuple((picture, "a red apple on a blue background · Seed 1") for _ in range(3))
    data = write_worksheet(lesson, {"main": shown, "transfer": shown})
    assert data == write_worksheet(lesson, {"main": shown, "transfer": shown})
    document = pypdfium2.PdfDocument(data)
    first, second = (" ".join(page.get_textpage().get_text_range().split()) for page in document)
    assert len(document) == 2
    for text in (lesson.title, lesson.main.question, lesson.transfer.question, "a red apple on"):
        assert text in first
    for option in lesson.main.ask.options:
        assert option in first
    notes = (lesson.teaches, lesson.usually, lesson.say, lesson.why[:60])
    for text in (note.replace("**", "") for note in notes):
        assert text in second
        assert text not in first
