"""Prompts drawn: where settings become a request, each choice and wildcard becomes its words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.diffusion.recipe.problems import Problem
from core.diffusion.recipe.prompt.choices import without_marks
from core.diffusion.recipe.prompt.marks import MarkError, Marks
from core.diffusion.recipe.settings_table import PROMPTS, SETTINGS
from core.diffusion.settings import GenerationSettings, SettingsError
from core.sweeps.sweep import Sweep, SweepCell, SweepProblem

_NOT_DRAWN = "cannot be drawn"
_EXCERPT = 60
_MOST_SAID = 8


@dataclass(frozen=True, kw_only=True)
class DrawnSettings:
    """Settings whose texts have no marks, as an engine takes them, and what was drawn, in order."""

    settings: GenerationSettings
    words: tuple[str, ...] = ()


def draw_prompts(settings: GenerationSettings, marks: Marks) -> DrawnSettings:
    """One option of each choice and one line of each wildcard, by the seed and the text's name.

    The prompt, the negative and the second prompt are drawn apart from each other. Raises
    SettingsError with everything that keeps them from being drawn.
    """
    problems: list[Problem] = []
    changes: dict[str, str] = {}
    words: list[str] = []
    for name in PROMPTS:
        try:
            drawn = marks.draw(getattr(settings, name), seed=settings.seed, name=name)
        except MarkError as error:
            problems.append(Problem(field=name, reason=f"{_NOT_DRAWN}: {error}"))
            continue
        changes[name] = drawn.text
        if settings.matters(name):
            words += drawn.words
        if drawn.words and (reason := SETTINGS[name].problem(drawn.text)):
            problems.append(Problem(field=name, reason=f"as it was drawn {reason}"))
    if problems:
        raise SettingsError(problems)
    return DrawnSettings(settings=replace(settings, **changes), words=tuple(words))


def draw_batch(
    batch: Sequence[GenerationSettings], marks: Marks, *, vae_scale_factor: int
) -> list[DrawnSettings]:
    """Each of a batch drawn, ready to be run. Raises SettingsError with everything that is wrong
    with the first that cannot be.
    """
    drawn: list[DrawnSettings] = []
    for settings in batch:
        problems: list[Problem] = []
        try:
            drawn.append(draw_prompts(settings, marks))
        except SettingsError as error:
            problems += error.problems
        problems += settings.validate(vae_scale_factor=vae_scale_factor)
        if problems:
            raise SettingsError(problems)
    return drawn


def draw_cells(
    cells: Iterable[SweepCell], marks: Marks
) -> tuple[list[SweepProblem], list[SweepCell]]:
    """Either what keeps texts from being drawn, each text once, or every cell with its own."""
    problems: dict[SweepProblem, None] = {}
    found: list[SweepCell] = []
    for cell in cells:
        try:
            drawn = draw_prompts(cell.settings, marks)
            found.append(replace(cell, settings=drawn.settings, drawn=drawn.words))
        except SettingsError as error:
            for problem in error.problems:
                text = getattr(cell.settings, problem.field)
                problems[_of_text(problem.field, text, problem.reason)] = None
    return (list(problems), []) if problems else ([], found)


def mark_problems(sweep: Sweep, marks: Marks) -> list[SweepProblem]:
    """What is wrong with the marks of the texts that no axis changes, of a sweep without cells."""
    varied = sweep.varied()
    texts = {name: getattr(sweep.base, name) for name in PROMPTS if name not in varied}
    return [
        _of_text(name, text, f"{_NOT_DRAWN}: {'; '.join(reasons)}")
        for name, text in texts.items()
        if (reasons := marks.problems(text))
    ]


def as_typed(settings: GenerationSettings) -> GenerationSettings:
    """The settings as a form has them whose drawing gives exactly these: of a picture, whose
    prompt may hold braces that are no choice.
    """
    return replace(settings, **{name: without_marks(getattr(settings, name)) for name in PROMPTS})


def words_of_picture(
    typed: GenerationSettings, made: GenerationSettings, marks: Marks
) -> tuple[str, ...]:
    """What was drawn for a picture from what is typed now; () where that is not what made it."""
    try:
        drawn = draw_prompts(replace(typed, seed=made.seed), marks)
    except SettingsError:
        return ()
    is_its_own = all(getattr(drawn.settings, name) == getattr(made, name) for name in PROMPTS)
    return drawn.words if is_its_own else ()


def said(words: Iterable[str]) -> str:
    """Drawn words in a line: "owl, blue"."""
    return ", ".join(word.strip() or "(empty)" for word in words)


def said_of(cells: Iterable[SweepCell]) -> str:
    """What was drawn for cells, each once and the first few; "" where nothing was."""
    found = list(dict.fromkeys(said(cell.drawn) for cell in cells if cell.drawn))
    more = f" · and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
    return " · ".join(found[:_MOST_SAID]) + more


def _of_text(field: str, text: str, reason: str) -> SweepProblem:
    excerpt = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
    return SweepProblem(axis=field, value=excerpt, reason=reason)
