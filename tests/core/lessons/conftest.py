"""Every lesson's cells, each computed once by the bundled model when a test asks for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.commands.jobs import compute
from core.commands.tasks import run_tasks
from core.lessons.grading import lacking, record_of
from core.lessons.lesson import Lesson
from core.lessons.run import LessonRun, plan_of, requests_of
from core.lessons.shelf import find_lessons
from core.runs.store.store import Store
from core.runs.worker.worker import Worker

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "lessons"


@dataclasses.dataclass(eq=False)
class Ran:
    """A store in which the cells of lessons are kept."""

    store: Store
    lessons: dict[str, Lesson]
    results: dict[tuple[str, str], tuple[Any, ...]] = dataclasses.field(default_factory=dict)

    def run(self, name: str, part: str = "main") -> LessonRun:
        challenge = self.lessons[name].part(part)
        plan = plan_of(challenge, self.store)
        missing = [plan.cells[n].settings for n in lacking(challenge, plan, self.store)]
        if missing:
            compute(self.store, missing, record=record_of(challenge), label=name)
        if (name, part) not in self.results:
            self.results[name, part] = tuple(run_tasks(self.store, requests_of(challenge, plan)))
        return LessonRun(
            store=self.store, challenge=challenge, plan=plan, results=self.results[name, part]
        )


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    store = Store(tmp_path_factory.mktemp("lessons"))
    shelves = [find_lessons(keep=store.inputs.keep), find_lessons(EXAMPLES)]
    worker = Worker(store)
    worker.start()
    yield Ran(store=store, lessons={one.name: one for shelf in shelves for one in shelf.lessons})
    worker.stop()
