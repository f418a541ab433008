"""What a lesson leads to is set up by its run, in the session and in the address."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.lessons.lesson import Next
from core.lessons.shelf import find_lessons

LESSONS = find_lessons().lessons


def _put() -> None:
    import streamlit as st

    from core.lessons.shelf import find_lessons
    from ui.lessons.next import WAYS
    from ui.runtime import open_runtime

    name, page = st.query_params["name"], st.query_params["page"]
    lesson = next(one for one in find_lessons().lessons if one.name == name)
    step = next(one for one in lesson.next if one.page == page)
    st.session_state["query"] = WAYS[page](open_runtime(), lesson, step)


@pytest.mark.parametrize(
    ("name", "step"), [(one.name, step) for one in LESSONS for step in one.next]
)
@pytest.mark.usefixtures("app")
def test_each_way_can_be_taken(name: str, step: Next) -> None:
    at = AppTest.from_function(_put, default_timeout=30)
    at.query_params["name"], at.query_params["page"] = name, step.page
    at.run()
    assert not at.exception
    query = at.session_state["query"]
    lesson = next(one for one in LESSONS if one.name == name)
    settings = lesson.main.sweep.base
    if step.page == "Sweep":
        axis = lesson.main.sweep.x
        assert axis is not None
        assert "sweep_x_values" in query
    elif step.page in ("Generate", "Step by step"):
        prefix = {"Generate": "generate", "Step by step": "steps"}[step.page]
        assert query[f"{prefix}_num_inference_steps"] == str(settings.num_inference_steps)
    elif step.page == "Image to image":
        assert query["img2img_prompt"] == settings.prompt
