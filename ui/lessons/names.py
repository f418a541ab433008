"""What the session calls the parts of a lesson."""

from __future__ import annotations

from core.lessons.lesson import Lesson
from ui.catalog import LESSONS

CHOSEN = f"{LESSONS.prefix}_lesson"
"""The control of the lesson in view, in the address too."""


def name_of(lesson: Lesson, part: str, what: str) -> str:
    """The name of an entry or a widget of one question."""
    return f"{LESSONS.prefix}:{lesson.name}:{part}:{what}"
