"""The lessons that are there: those of the app, and a user's own in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.diffusion.recipe.images import input_digest
from core.lessons.files.reading import LessonFileError, read_lesson
from core.lessons.lesson import Lesson
from core.sweeps.sources import Keep

LESSONS = Path(__file__).parent / "data"
"""The app's own, in the order of their files' names."""

OWN_FOLDER = "lessons"
"""Of the data folder: a user's lessons."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Every lesson in order, and every problem of the files that are none."""

    lessons: tuple[Lesson, ...]
    errors: tuple[LessonFileError, ...]

    def named(self, name: str) -> Lesson | None:
        """The lesson of a file's name without its ending."""
        return next((one for one in self.lessons if one.name == name), None)


def find_lessons(
    folder: Path = LESSONS,
    *,
    keep: Keep = lambda array, name: input_digest(array),
    is_own: bool = False,
) -> Shelf:
    """The lessons of a folder; one that is not there has none."""
    lessons: list[Lesson] = []
    errors: list[LessonFileError] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            lessons.append(read_lesson(path, keep=keep, is_own=is_own))
        except LessonFileError as error:
            errors.append(error)
    return Shelf(lessons=tuple(lessons), errors=tuple(errors))


def all_lessons(data: Path, keep: Keep) -> Shelf:
    """The app's lessons, then those of the data folder; of one name the app's is taken."""
    ours = find_lessons(keep=keep)
    own = find_lessons(data / OWN_FOLDER, keep=keep, is_own=True)
    names = {one.name for one in ours.lessons}
    new = [one for one in own.lessons if one.name not in names]
    twice = [
        LessonFileError(one.path, ["a lesson of the app has this name: give the file another"])
        for one in own.lessons
        if one.name in names
    ]
    return Shelf(lessons=(*ours.lessons, *new), errors=(*ours.errors, *own.errors, *twice))
