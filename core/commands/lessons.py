"""lessons: the lessons that are there, and whether each one's run gives its stated answers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.commands.console import FAILED, OK, UsageError, folder, say
from core.commands.jobs import compute
from core.commands.tasks import TaskError, run_tasks
from core.lessons.grading import broken, grade, lacking, record_of, said
from core.lessons.lesson import PARTS, Lesson
from core.lessons.run import LessonError, LessonRun, plan_of, requests_of
from core.lessons.shelf import LESSONS, OWN_FOLDER, Shelf, all_lessons, find_lessons
from core.runs.store.store import Store


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    lessons = commands.add_parser("lessons", help="list the lessons, or check and grade them")
    lessons.set_defaults(run=run)
    lessons.add_argument(
        "--check",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="read every lesson of a folder, or those of the app and of the data folder, name each "
        "problem, run them, and say where a run no longer gives the stated answer",
    )
    lessons.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this lesson, by its file"
    )
    lessons.add_argument(
        "--read", action="store_true", help="with --check: read the files, and run nothing"
    )
    lessons.add_argument(
        "--data", type=folder, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    store = Store(options.data)
    shelf = _shelf(options.check, store)
    for error in shelf.errors:
        for problem in error.problems:
            say(f"error: {error.path.name}: {problem}")
    chosen = _chosen(shelf.lessons, options.only)
    if options.check is None:
        for lesson in chosen:
            print(f"{lesson.name}: {lesson.title}")
        return FAILED if shelf.errors else OK
    if not chosen and not shelf.errors:
        raise UsageError(f"{options.check or LESSONS} has no lesson: they are .toml files")
    failed = bool(shelf.errors)
    for lesson in chosen:
        if options.read:
            print(f"{lesson.name}: read")
            continue
        for part in PARTS:
            began = time.monotonic()
            line, is_sound = _graded(store, lesson, part)
            print(f"{lesson.name}, {part}: {line} ({time.monotonic() - began:.0f} s)", flush=True)
            failed = failed or not is_sound
    return FAILED if failed else OK


def _shelf(check: str | None, store: Store) -> Shelf:
    if not check:
        return all_lessons(store.folder, store.inputs.keep)
    path = Path(check)
    if not path.is_dir():
        raise UsageError(f"{check} is no folder of lessons (of your own: {OWN_FOLDER})")
    return find_lessons(path, keep=store.inputs.keep, is_own=True)


def _chosen(lessons: Sequence[Lesson], only: Sequence[str]) -> list[Lesson]:
    unknown = [name for name in only if name not in {one.name for one in lessons}]
    if unknown:
        known = ", ".join(one.name for one in lessons)
        raise UsageError(f"{', '.join(unknown)}: no lesson here; there are: {known}")
    return [one for one in lessons if not only or one.name in only]


def _graded(store: Store, lesson: Lesson, part: str) -> tuple[str, bool]:
    """What a question's run says, computed first as far as it is missing; whether it is sound."""
    challenge = lesson.part(part)
    plan = plan_of(challenge, store)
    if plan.problems:
        return "; ".join(map(str, plan.problems)), False
    missing = [plan.cells[index].settings for index in lacking(challenge, plan, store)]
    if missing:
        label = f"lesson {lesson.name}"
        cells = compute(store, missing, record=record_of(challenge), label=label)
        reasons = sorted({cell.reason or cell.state for cell in cells if cell.state != "done"})
        if reasons:
            return "; ".join(reasons), False
    try:
        results = run_tasks(store, requests_of(challenge, plan))
        graded = grade(
            LessonRun(store=store, challenge=challenge, plan=plan, results=tuple(results))
        )
    except (LessonError, TaskError) as error:
        return str(error), False
    if why := broken(challenge, graded):
        return why, False
    return said(challenge.ask, graded.answer), True
