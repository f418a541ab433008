"""Lessons name no control that the app does not have."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.diffusion.recipe.settings_table import SETTINGS
from core.lessons.lesson import NEXT_PAGES, Lesson
from core.lessons.shelf import find_lessons
from core.lessons.words import named_controls
from core.sweeps.axes import AXES
from tests.contracts.sources import ROOT
from ui.catalog import CATALOG
from ui.lessons.next import WAYS

LESSONS = [
    *find_lessons().lessons,
    *find_lessons(Path(ROOT) / "examples" / "lessons").lessons,
]


def labels() -> set[str]:
    """Pages, settings, axes, and the first words of every control in ui."""
    found = {page.title for page in CATALOG}
    found |= {row.label for row in SETTINGS.values()} | {row.label for row in AXES.values()}
    for path in (ROOT / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_no_text_names_a_control_that_is_not_there(lesson: Lesson) -> None:
    known = labels()
    for place, text in lesson.texts():
        for name in named_controls(text):
            assert name in known, (place, name)


def test_every_page_that_may_come_next_has_a_way() -> None:
    assert set(NEXT_PAGES) == set(WAYS)
    assert set(NEXT_PAGES) <= {page.title for page in CATALOG}
