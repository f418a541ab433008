"""The run of a question: submitted, followed live, and graded once it is whole."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from core.lessons.grading import Graded, grade, lacking, record_of
from core.lessons.lesson import Lesson
from core.lessons.run import LessonError, LessonRun, requests_of
from core.sweeps.plan import Plan
from ui.catalog import LESSONS
from ui.grid.board import Board, board_of
from ui.grid.cell import show_opened
from ui.grid.grid import develop, show_end, show_grid
from ui.grid.jobs import current_job, submit_sweep
from ui.grid.state import GridState
from ui.lessons.names import name_of
from ui.runs.tasks import await_task
from ui.runtime import Runtime
from ui.views import show_error


def ask_to_run(lesson: Lesson, part: str) -> None:
    """Make the next run of the page submit the cells: a callback, or a part of one."""
    st.session_state[name_of(lesson, part, "run")] = uuid.uuid4().hex


def run_question(runtime: Runtime, lesson: Lesson, part: str, plan: Plan) -> Graded | None:
    """What the run answers, with its grid; None while it runs or where it was stopped."""
    challenge = lesson.part(part)
    missing = lacking(challenge, plan, runtime.store)
    token = st.session_state.pop(name_of(lesson, part, "run"), None)
    if missing and token is not None:
        submit_sweep(
            runtime,
            challenge.sweep,
            [plan.cells[index].settings for index in missing],
            token=token,
            record=record_of(challenge),
        )
    job = current_job(runtime, plan)
    state = GridState(prefix=LESSONS.prefix, grid=f"{lesson.name}:{part}")
    board = board_of(runtime, state, challenge.sweep, plan, job)
    if missing and board.is_running:
        develop(runtime, board, with_grid=True)
        return None
    if missing:
        show_end(runtime, board)
        st.button(
            "Run",
            key=name_of(lesson, part, "go"),
            icon=":material/play_arrow:",
            type="primary",
            on_click=ask_to_run,
            args=(lesson, part),
        )
        return None
    results: list[Any] = []
    for request in requests_of(challenge, plan):
        result = await_task(runtime, request)
        if result is None:
            return None
        results.append(result)
    try:
        run = LessonRun(store=runtime.store, challenge=challenge, plan=plan, results=tuple(results))
        return grade(run)
    except LessonError as error:
        show_error("The run gives no answer", str(error))
        return None


def show_run(runtime: Runtime, lesson: Lesson, part: str, plan: Plan) -> None:
    """The grid of a whole run; a click opens a cell."""
    board = whole_board(runtime, lesson, part, plan)
    show_grid(runtime, board)
    show_opened(runtime, board, LESSONS)


def whole_board(runtime: Runtime, lesson: Lesson, part: str, plan: Plan) -> Board:
    """The board of a run whose cells are stored."""
    state = GridState(prefix=LESSONS.prefix, grid=f"{lesson.name}:{part}")
    return board_of(runtime, state, lesson.part(part).sweep, plan, None)
