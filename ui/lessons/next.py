"""What to try next: a page, opened with the settings of the lesson's run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import streamlit as st

from core.lessons.lesson import Lesson, Next
from core.sweeps.sweep import Sweep
from ui.catalog import CATALOG, GENERATE, IMAGE_TO_IMAGE, LESSONS, STEPS, SWEEP
from ui.links import put_settings
from ui.sweep_link import put_sweep


def show_next(lesson: Lesson) -> None:
    """A line with a button for each."""
    st.subheader("What to try next", anchor=False)
    for index, one in enumerate(lesson.next):
        page = next(page for page in CATALOG if page.title == one.page)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                f"Open {page.title}",
                key=f"{LESSONS.prefix}:{lesson.name}:next:{index}",
                icon=page.icon,
            ):
                st.switch_page(page.path, query_params=WAYS[one.page](lesson, one))
            st.markdown(one.words, width="content")


def _base(lesson: Lesson, one: Next) -> Sweep:
    sweep = lesson.main.sweep
    return replace(sweep, base=replace(sweep.base, **one.changes))


def _to_sweep(lesson: Lesson, one: Next) -> dict[str, str]:
    return put_sweep(_base(lesson, one))


def _to_settings(prefix: str) -> Callable[[Lesson, Next], dict[str, str]]:
    """The settings of the run's first cell."""

    def put(lesson: Lesson, one: Next) -> dict[str, str]:
        first = _base(lesson, one).cells()[0].settings
        return put_settings(prefix, first.to_dict())

    return put


def _to_page(lesson: Lesson, one: Next) -> dict[str, str]:
    return {}


WAYS: Mapping[str, Callable[[Lesson, Next], dict[str, str]]] = {
    SWEEP.title: _to_sweep,
    GENERATE.title: _to_settings(GENERATE.prefix),
    STEPS.title: _to_settings(STEPS.prefix),
    IMAGE_TO_IMAGE.title: _to_page,
    "Latents": _to_page,
    "Film": _to_page,
    "Schedulers": _to_page,
}
"""By the page's title: what is set there, and what its address then says."""
