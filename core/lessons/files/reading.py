"""A lesson from its TOML file, or every problem of it at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings, SettingsError
from core.lessons.files.question import QuestionReader
from core.lessons.lesson import COURSES, MAIN, NEXT_PAGES, TRANSFER, Lesson, Next
from core.lessons.words import MOST_WHY, MOST_WORDS, too_long, words
from core.sweeps.sources import Keep

VALUES = ("title", "teaches", "minutes", "before", "question", "shown", "figure")
TABLES = ("run", "predict", "answer", "why", "transfer", "next", "notes", "courses")
TRANSFERRED = ("question", "shown", "figure", "base", "run", "predict", "answer")


class LessonFileError(ValueError):
    """A file that is no lesson; `problems` are all that was found."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path, self.problems = path, tuple(problems)
        super().__init__("\n".join(f"{path.name}: {one}" for one in problems))


def read_lesson(
    path: Path,
    *,
    keep: Keep = lambda array, name: input_digest(array),
    is_own: bool = False,
) -> Lesson:
    """The lesson of a file. A source picture is named by its file, which `keep` keeps.

    Raises LessonFileError.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LessonFileError(path, [f"cannot be read: {error.strerror or error}"]) from error
    except (ValueError, RecursionError) as error:
        raise LessonFileError(path, [f"is not a TOML file: {error}"]) from error
    reader = _Reader(path, keep)
    lesson = reader.lesson(values, is_own=is_own)
    if reader.problems or lesson is None:
        raise LessonFileError(path, reader.problems)
    return lesson


class _Reader(QuestionReader):
    """Reads a whole file."""

    def lesson(self, values: Mapping[str, Any], *, is_own: bool) -> Lesson | None:
        self.unknown(values, (*VALUES, *TABLES), "")
        tables = {name: self.table(values, name) for name in ("why", "notes", "courses")}
        self.unknown(tables["why"], ("text", "source", "link"), "why: ")
        self.unknown(tables["notes"], ("usually", "say"), "notes: ")
        self.unknown(tables["courses"], tuple(COURSES), "courses: ")
        transfer = self.table(values, "transfer")
        self.unknown(transfer, TRANSFERRED, "transfer: ")
        minutes = values.get("minutes", 0)
        if not isinstance(minutes, int) or not 1 <= minutes <= 60:
            self.problems.append("minutes: a whole number from 1 to 60 is missing")
            minutes = 1
        main = self.challenge(values, MAIN)
        other = self.challenge(_merged(values, transfer), TRANSFER)
        if "question" not in transfer:
            self.problems.append("transfer: question is missing")
        elif main and other and main.sweep == other.sweep:
            self.problems.append("transfer: the run is the same: give it a prompt of its own")
        found = {
            "title": self.text(values, "title", ""),
            "teaches": self.text(values, "teaches", ""),
            "before": self.text(values, "before", "", is_needed=False),
            "why": self.text(tables["why"], "text", "why: "),
            "source": self.text(tables["why"], "source", "why: "),
            "link": self.text(tables["why"], "link", "why: ", is_needed=False),
            "usually": self.text(tables["notes"], "usually", "notes: "),
            "say": self.text(tables["notes"], "say", "notes: "),
        }
        courses = {
            name: self.text(tables["courses"], name, "courses: ") for name in tables["courses"]
        }
        steps = self._next(values.get("next", []))
        if main is None or other is None:
            return None
        lesson = Lesson(
            name=self.path.stem,
            minutes=minutes,
            main=main,
            transfer=other,
            next=steps,
            courses=courses,
            path=self.path,
            is_own=is_own,
            **found,
        )
        self._read_texts(lesson)
        return lesson

    def _read_texts(self, lesson: Lesson) -> None:
        for place, text in lesson.texts():
            for sentence in too_long(text):
                self.problems.append(
                    f"{place}: a sentence has more than {MOST_WORDS} words: {sentence[:60]}…"
                )
        if len(words(lesson.why)) > MOST_WHY:
            count = len(words(lesson.why))
            self.problems.append(f"why: text has {count} words, up to {MOST_WHY} are read")
        for part in (lesson.main, lesson.transfer):
            if not part.question.rstrip().endswith("?"):
                self.problems.append(f"question: ends with no question mark: {part.question[:60]}")

    def _next(self, given: Any) -> tuple[Next, ...]:
        found: list[Next] = []
        for index, one in enumerate(given if isinstance(given, list) else [], start=1):
            at = f"next {index}: "
            if not isinstance(one, Mapping):
                self.problems.append(f"{at}must be a table")
                continue
            self.unknown(one, ("page", "words", "changes"), at)
            page, changes = one.get("page"), one.get("changes", {})
            if page not in NEXT_PAGES:
                self.problems.append(f"{at}page is one of {', '.join(NEXT_PAGES)}")
            try:
                GenerationSettings.from_dict(dict(changes))
            except (SettingsError, TypeError, ValueError) as error:
                self.problems.append(f"{at}changes: {error}")
            found.append(Next(page=str(page), words=self.text(one, "words", at), changes=changes))
        if not found:
            self.problems.append("next: what to try next is missing")
        return tuple(found)


def _merged(values: Mapping[str, Any], transfer: Mapping[str, Any]) -> dict[str, Any]:
    """The file as the transfer question has it: what it does not name is as in the first. `base`
    changes single settings of the run, `run` is another run altogether.
    """
    found = dict(values)
    for name, value in transfer.items():
        if name == "base":
            continue
        own = found.get(name)
        is_part = name in ("predict", "answer") and isinstance(value, Mapping)
        found[name] = {**own, **value} if is_part and isinstance(own, Mapping) else value
    run = found.get("run")
    base = transfer.get("base")
    if isinstance(run, Mapping) and isinstance(base, Mapping):
        own = run.get("base", {})
        found["run"] = {**run, "base": {**own, **base} if isinstance(own, Mapping) else base}
    return found
