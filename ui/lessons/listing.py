"""The list of lessons with the reader's progress, and where each stands in the usual courses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from core.lessons.lesson import COURSES, MAIN, TRANSFER, Lesson
from core.lessons.shelf import OWN_FOLDER, Shelf
from core.runs.store.opinions.lesson_answers import LessonAnswer, Question
from ui.catalog import LESSONS
from ui.lessons.names import CHOSEN
from ui.links import BOUND, Parameter
from ui.views import plain, show_warning

ALL = "All lessons"
Answers = Mapping[Question, LessonAnswer]


def parameters(shelf: Shelf) -> tuple[Parameter, ...]:
    """What the address may say."""
    return (Parameter(field="lesson", kind="choice", choices=tuple(_titles(shelf))),)


def choose_lesson(shelf: Shelf) -> Lesson | None:
    """The lesson in view, None for the list; with the one before and the one after, by keys."""
    titles = _titles(shelf)
    if st.session_state.get(CHOSEN) not in titles:
        st.session_state.pop(CHOSEN, None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox("Lesson", list(titles), key=CHOSEN, width=360, **BOUND)
        lesson = titles.get(str(chosen))
        at = shelf.lessons.index(lesson) if lesson is not None else -1
        for label, key, index in (("Previous", "p", at - 1), ("Next", "n", at + 1)):
            is_there = 0 <= index < len(shelf.lessons)
            st.button(
                label,
                key=f"{LESSONS.prefix}:{label}",
                shortcut=key,
                disabled=not is_there,
                on_click=open_lesson,
                args=(shelf.lessons[index].title if is_there else ALL,),
            )
    return lesson


def open_lesson(title: str) -> None:
    """Show a lesson, or the list: a callback."""
    st.session_state[CHOSEN] = title


def show_problems(shelf: Shelf) -> None:
    """What is wrong with files that are no lessons, all of it."""
    for error in shelf.errors:
        show_warning(
            f"{error.path.name} is no lesson yet",
            "\n\n".join(error.problems),
            f'Files of your own lie in the folder "{OWN_FOLDER}" of the data folder.',
        )


def show_list(shelf: Shelf, answers: Answers) -> None:
    """A card for each lesson, then the courses."""
    done = sum(_state(lesson, answers) == DONE for lesson in shelf.lessons)
    st.markdown(
        "Predict first, then run. People who predict before they look understand more of a "
        "demonstration than people who only watch it (Crouch et al. 2004).",
        width=640,
    )
    st.progress(done / max(1, len(shelf.lessons)), f"{done} of {len(shelf.lessons)} lessons done")
    grid = st.grid(3, min_column_width=260, gap="small")
    for number, lesson in enumerate(shelf.lessons, start=1):
        with grid.cell(), st.container(border=True, height="stretch", gap="xsmall"):
            st.button(
                f"{number} · {plain(lesson.title)}",
                key=f"{LESSONS.prefix}:open:{lesson.name}",
                on_click=open_lesson,
                args=(lesson.title,),
                width="stretch",
            )
            state = _state(lesson, answers)
            # What it teaches is half of the answer.
            st.caption(plain(lesson.teaches if state == DONE else lesson.main.question))
            own = " · your own" if lesson.is_own else ""
            icon, colour = _LOOKS[state]
            st.badge(f"{state} · {lesson.minutes} min{own}", icon=icon, color=colour)
    with st.expander(
        "Where they stand in courses", icon=":material/map:", key=f"{LESSONS.prefix}:courses"
    ):
        st.table(
            {
                "Lesson": [plain(one.title) for one in shelf.lessons],
                "Teaches": [plain(one.teaches) for one in shelf.lessons],
                **{
                    label: [plain(one.courses.get(name, "–")) for one in shelf.lessons]
                    for name, label in COURSES.items()
                },
            },
            hide_index=True,
        )


NEW, BEGUN, DONE = "Not begun", "Begun", "Done"
_LOOKS: Mapping[str, tuple[str, Literal["gray", "orange", "green"]]] = {
    NEW: (":material/radio_button_unchecked:", "gray"),
    BEGUN: (":material/timelapse:", "orange"),
    DONE: (":material/check_circle:", "green"),
}


def _state(lesson: Lesson, answers: Answers) -> str:
    """Done once the run has graded both questions, whatever it said."""
    found = [answers.get((lesson.name, part)) for part in (MAIN, TRANSFER)]
    if all(one is not None and one.is_right is not None for one in found):
        return DONE
    return BEGUN if any(found) else NEW


def _titles(shelf: Shelf) -> dict[str, Lesson | None]:
    return {ALL: None, **{lesson.title: lesson for lesson in shelf.lessons}}
