"""Every lesson's cells, computed once by the bundled model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from core.commands.jobs import compute
from core.commands.tasks import run_tasks
from core.lessons.grading import lacking, record_of
from core.lessons.lesson import PARTS, Lesson
from core.lessons.run import LessonRun, plan_of, requests_of
from core.lessons.shelf import find_lessons
from core.runs.store.store import Store

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "lessons"


@dataclasses.dataclass(eq=False)
class Ran:
    """A store with the cells of every lesson in it."""

    store: Store
    lessons: dict[str, Lesson]
    results: dict[tuple[str, str], tuple[Any, ...]] = dataclasses.field(default_factory=dict)

    def run(self, name: str, part: str = "main") -> LessonRun:
        challenge = self.lessons[name].part(part)
        plan = plan_of(challenge, self.store)
        if (name, part) not in self.results:
            self.results[name, part] = tuple(run_tasks(self.store, requests_of(challenge, plan)))
        return LessonRun(
            store=self.store, challenge=challenge, plan=plan, results=self.results[name, part]
        )


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    store = Store(tmp_path_factory.mktemp("lessons"))
    shelves = [find_lessons(keep=store.inputs.keep), find_lessons(EXAMPLES)]
    lessons = {one.name: one for shelf in shelves for one in shelf.lessons}
    for record in ("latents", "norms"):  # what both need is computed once, with the latents
        wanted = {}
        for lesson in lessons.values():
            for part in PARTS:
                one = lesson.part(part)
                if record_of(one) == record:
                    plan = plan_of(one, store)
                    for index in lacking(one, plan, store):
                        wanted[plan.digests[index]] = plan.cells[index].settings
        compute(store, list(wanted.values()), record=record, label="lessons")
    return Ran(store=store, lessons=lessons)
