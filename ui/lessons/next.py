"""What to try next: a page, opened with the settings of the lesson's run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import streamlit as st

from core.diffusion.settings import GenerationSettings
from core.lessons.lesson import Lesson, Next
from core.lessons.run import plan_of
from core.sweeps.link import to_word
from core.sweeps.sweep import Sweep
from ui.catalog import (
    CATALOG,
    FILM,
    GENERATE,
    IMAGE_TO_IMAGE,
    LATENTS,
    LESSONS,
    SCHEDULER_LAB,
    STEPS,
    SWEEP,
)
from ui.links import put_settings
from ui.runtime import Runtime
from ui.send import TAKEN_ALONG, choose_runs
from ui.sweep_link import put_sweep

Way = Callable[[Runtime, Lesson, Next], dict[str, str]]
"""Sets a page up in the session; returns what its address then says."""


def show_next(runtime: Runtime, lesson: Lesson) -> None:
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
                st.switch_page(page.path, query_params=WAYS[one.page](runtime, lesson, one))
            st.markdown(one.words, width="content")


def _base(lesson: Lesson, one: Next) -> Sweep:
    sweep = lesson.main.sweep
    return replace(sweep, base=replace(sweep.base, **one.changes))


def _to_sweep(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
    return put_sweep(_base(lesson, one))


def _first(lesson: Lesson, one: Next) -> GenerationSettings:
    return _base(lesson, one).cells()[0].settings


def _to_source(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
    """Prompt and sampler; the source is the reader's own."""
    first = _first(lesson, one)
    return put_settings(IMAGE_TO_IMAGE.prefix, {name: getattr(first, name) for name in TAKEN_ALONG})


def _to_settings(prefix: str) -> Way:
    """The settings of the run's first cell."""

    def put(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
        return put_settings(prefix, _first(lesson, one).to_dict())

    return put


def _to_film(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
    query = {
        f"{FILM.prefix}_sweep": to_word(lesson.main.sweep),
        f"{FILM.prefix}_source": "A sweep",
    }
    st.session_state.update(query)
    return query


def _to_runs(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
    digests = dict.fromkeys(plan_of(lesson.main, runtime.store).digests)
    return choose_runs(runtime, LATENTS.prefix, list(digests))


def _to_page(runtime: Runtime, lesson: Lesson, one: Next) -> dict[str, str]:
    return {}


WAYS: Mapping[str, Way] = {
    SWEEP.title: _to_sweep,
    GENERATE.title: _to_settings(GENERATE.prefix),
    STEPS.title: _to_settings(STEPS.prefix),
    IMAGE_TO_IMAGE.title: _to_source,
    LATENTS.title: _to_runs,
    FILM.title: _to_film,
    SCHEDULER_LAB.title: _to_page,
}
"""By the page's title: what is set there, and what its address then says."""
