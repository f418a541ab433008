"""A lesson from its question to what to try next, for whoever this browser is."""

from __future__ import annotations

import streamlit as st

from core.lessons.grading import is_right, read_value, said
from core.lessons.lesson import MAIN, TRANSFER, Lesson, Value
from core.lessons.run import plan_of
from core.sweeps.plan import Plan
from ui.frame import safe
from ui.lessons.ask import predict
from ui.lessons.learner import Learner
from ui.lessons.names import name_of
from ui.lessons.next import show_next
from ui.lessons.pictures import show_pictures, shown_digests
from ui.lessons.reveal import show_answer, show_figure
from ui.lessons.run import ask_to_run, run_question, show_run
from ui.lessons.teaching import show_teaching
from ui.runtime import Runtime
from ui.views import picture_bytes, plain, show_error

TEXT = 680  # pixels of a column that is read


def show_lesson(runtime: Runtime, lesson: Lesson, learner: Learner) -> None:
    """The question; once it is answered the why, the question on another prompt, and what next."""
    st.header(plain(lesson.title), anchor=False)
    st.caption(f"About {lesson.minutes} minutes.")
    if not show_question(runtime, lesson, MAIN, learner):
        show_teaching(runtime, lesson)
        return
    _show_why(lesson)
    st.subheader("And on another prompt?", anchor=False)
    is_done = show_question(runtime, lesson, TRANSFER, learner)
    if is_done:
        show_next(runtime, lesson)
    show_teaching(runtime, lesson)
    st.button(
        "Answer this lesson again",
        key=name_of(lesson, MAIN, "forget"),
        icon=":material/restart_alt:",
        on_click=safe(learner.forget),
        args=(lesson,),
    )


def show_question(runtime: Runtime, lesson: Lesson, part: str, learner: Learner) -> bool:
    """One question from the pictures to the reveal; True once the run has graded the answer."""
    challenge = lesson.part(part)
    plan = plan_of(challenge, runtime.store)
    if plan.problems:
        show_error("This lesson cannot run", "\n\n".join(map(str, plan.problems)))
        return False
    if part == MAIN and lesson.before:
        st.markdown(lesson.before, width=TEXT)
    given = learner.given(lesson, part)
    predicted = None if given is None else read_value(challenge.ask, given.prediction)
    is_clicked_in = challenge.ask.kind == "place" and predicted is None
    has_pictures = show_pictures(runtime, lesson, part, plan, draws=not is_clicked_in)
    st.markdown(f"#### {challenge.question}", width=TEXT)
    if predicted is None:
        if has_pictures:
            _ask(runtime, lesson, part, plan, learner)
        return False
    graded = run_question(runtime, lesson, part, plan)
    if graded is None:
        st.caption(plain(f"You said: {said(challenge.ask, predicted)}"))
        return False
    is_same = is_right(challenge.answer, challenge.ask, graded, predicted)
    if given is not None and given.is_right != is_same:
        learner.grade(lesson, part, is_right=is_same)
    show_answer(challenge, graded, predicted)
    show_figure(challenge, graded, key=name_of(lesson, part, "figure"))
    if len(plan.cells) > 1:  # a single one is above already
        show_run(runtime, lesson, part, plan)
    return True


def _ask(runtime: Runtime, lesson: Lesson, part: str, plan: Plan, learner: Learner) -> None:
    challenge = lesson.part(part)
    picture = None
    if challenge.ask.kind == "place":
        picture = picture_bytes(runtime.store, shown_digests(challenge, plan)[0])
    value = predict(challenge.ask, key=name_of(lesson, part, "prediction"), picture=picture)
    st.button(
        "Predict and run",
        key=name_of(lesson, part, "predict"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=value is None,
        help="Your prediction stands: the run then shows what happens.",
        on_click=_give,
        args=(learner, lesson, part, value),
    )


@safe
def _give(learner: Learner, lesson: Lesson, part: str, value: Value) -> None:
    learner.give(lesson, part, value)
    ask_to_run(lesson, part)


def _show_why(lesson: Lesson) -> None:
    with st.container(border=True, gap="xsmall"):
        st.subheader("Why", anchor=False)
        st.markdown(lesson.why, width=TEXT)
        source = plain(lesson.source)
        st.caption(f"Source: [{source}]({lesson.link})" if lesson.link else f"Source: {source}")
