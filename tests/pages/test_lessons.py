"""The Lessons page: predict, run, see, over a fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.lessons.shelf import find_lessons
from core.runs.store.opinions.lesson_answers import LessonAnswers
from tests.pages.conftest import ROOT, App, messages, unescaped

PAGE = "pages/Lessons.py"
STRENGTH = "Strength: faithful or free?"
KEY = "lessons:07-strength:main"


def texts(at: AppTest) -> str:
    return "\n".join(unescaped(one.value) for one in (*at.markdown, *at.caption))


def opened(app: App, title: str) -> AppTest:
    """A lesson whose first pictures are computed."""
    at = app.open(PAGE, lessons_lesson=title)
    assert not at.exception
    app.finish()
    return at.run()


def labels(at: AppTest) -> list[str]:
    return [unescaped(button.label) for button in at.button]


def test_the_list_has_every_lesson_and_the_courses(app: App) -> None:
    at = app.open(PAGE)
    assert not messages(at)
    for number, lesson in enumerate(find_lessons().lessons, start=1):
        assert f"{number} · {lesson.title}" in labels(at)
    assert "Hugging Face Diffusion Course" in list(at.table[0].value.columns)
    at.button(key="lessons:open:07-strength").click().run()
    assert at.selectbox(key="lessons_lesson").value == STRENGTH
    at.button(key="lessons:Next").click().run()
    assert at.selectbox(key="lessons_lesson").value == "Back to the noise"
    at.button(key="lessons:Previous").click().run()
    assert at.selectbox(key="lessons_lesson").value == STRENGTH


def test_nothing_is_revealed_before_the_prediction(app: App) -> None:
    at = opened(app, STRENGTH)
    assert len(app.asked()) == 2, "only what is shown is computed"
    assert "The run says" not in texts(at)
    (lesson,) = (one for one in find_lessons().lessons if one.title == STRENGTH)
    assert lesson.teaches not in texts(at), "it is half of the answer"
    assert lesson.teaches not in texts(app.open(PAGE)), "nor in the list"
    assert "Why" not in [one.value for one in at.subheader]
    assert not at.get("plotly_chart")
    assert at.slider(key=f"{KEY}:prediction").min == 1


@pytest.mark.parametrize(("value", "is_right"), [(1, True), (10, False)])
def test_a_prediction_is_graded_by_the_run(app: App, value: int, is_right: bool) -> None:
    """The fake engine makes one call whatever is asked."""
    at = opened(app, STRENGTH)
    at.slider(key=f"{KEY}:prediction").set_value(value).run()
    at.button(key=f"{KEY}:predict").click().run()
    assert len(app.asked()) == 1, "what was shown is not computed again"
    app.finish()
    at.run()
    assert not messages(at)
    said = texts(at)
    assert f"**{value} steps**" in said
    assert "**1 steps**" in said
    assert ("That is what you predicted" in said) is is_right
    assert "wrong" not in said.lower()
    assert "Why" in [one.value for one in at.subheader]
    assert at.get("plotly_chart")
    [learner] = {row["learner"] for row in app.store.database.read("SELECT * FROM lesson_answers")}
    answers = LessonAnswers(app.store.database)
    assert answers.of(learner)["07-strength", "main"].is_right is is_right
    answers.give(learner, "07-strength", "main", 5)
    assert answers.of(learner)["07-strength", "main"].prediction == value, "the first one stands"


def test_the_other_prompt_then_what_next_and_again(app: App) -> None:
    at = opened(app, STRENGTH)
    at.button(key=f"{KEY}:predict").click().run()
    app.finish()
    at.run()
    app.finish()  # the pictures of the other prompt
    at.run()
    other = KEY.replace("main", "transfer")
    assert "What to try next" not in [one.value for one in at.subheader]
    at.button(key=f"{other}:predict").click().run()
    app.finish()
    at.run()
    assert "What to try next" in [one.value for one in at.subheader]
    assert "Open Image to image" in labels(at)
    at.button(key=f"{KEY}:forget").click().run()
    assert "The run says" not in texts(at)
    assert at.slider(key=f"{KEY}:prediction")


def test_a_run_that_was_stopped_goes_on(app: App) -> None:
    at = opened(app, STRENGTH)
    app.lab.gate.clear()
    at.button(key=f"{KEY}:predict").click().run()
    app.queue.cancel(app.newest_job().id)
    app.lab.gate.set()
    at.run()
    assert "The run says" not in texts(at)
    at.button(key=f"{KEY}:go").click().run()
    app.finish()
    at.run()
    assert "The run says" in texts(at)


def test_an_order_is_moved_by_buttons(app: App) -> None:
    at = opened(app, "Guidance as an arrow")
    key = "lessons:03-guidance:main:prediction"
    assert at.button(key=f"{key}:0:up").disabled
    at.button(key=f"{key}:2:up").click().run()
    at.button(key=f"{key}:2:up").click().run()
    assert at.session_state[key] == [2, 0, 1]
    assert at.button(key=f"{key}:1:down").disabled


def test_a_place_and_a_choice_need_an_answer(app: App) -> None:
    at = opened(app, "Where do words act?")
    key = "lessons:09-words:main"
    assert at.button(key=f"{key}:predict").disabled
    at = opened(app, "What does the seed decide?")
    key = "lessons:01-seed:main"
    assert at.button(key=f"{key}:predict").disabled
    at.radio(key=f"{key}:prediction").set_value(1).run()
    assert not at.button(key=f"{key}:predict").disabled


def test_own_lessons_are_listed_and_broken_ones_named(app: App) -> None:
    folder = Path(app.store.folder) / "lessons"
    folder.mkdir(parents=True)
    own = (ROOT / "examples" / "lessons" / "background.toml").read_text(encoding="utf-8")
    (folder / "background.toml").write_text(own, encoding="utf-8")
    (folder / "half.toml").write_text('title = "Half"\nminutes = 0', encoding="utf-8")
    at = app.open(PAGE)
    count = len(find_lessons().lessons)
    assert f"{count + 1} · Which background is the most colourful?" in labels(at)
    [said] = messages(at)
    assert "half.toml is no lesson yet" in said
    assert "minutes: a whole number" in said
    assert "question: a text is missing" in said


def test_a_link_to_a_lesson_that_is_gone_says_so(app: App) -> None:
    at = app.open(PAGE, lessons_lesson="None such")
    assert any("None such" in one for one in messages(at))
    assert at.button(key="lessons:open:01-seed")
