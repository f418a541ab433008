"""For a teacher: the notes of a lesson, and its worksheet on paper."""

from __future__ import annotations

import io
from typing import Any

import streamlit as st
from PIL import Image

from core.lessons.lesson import COURSES, MAIN, PARTS, Lesson
from core.lessons.run import plan_of
from core.lessons.worksheet import write_worksheet
from core.runs.store.store import StoreError
from ui.lessons.names import name_of
from ui.lessons.pictures import captions, shown_digests
from ui.runtime import Runtime
from ui.views import plain

Shown = dict[str, tuple[tuple[Image.Image, str], ...]]


def show_teaching(runtime: Runtime, lesson: Lesson) -> None:
    """Folded, since the notes tell the answer."""
    with st.expander(
        "For teachers", icon=":material/co_present:", key=name_of(lesson, MAIN, "teachers")
    ):
        st.markdown(f"**What learners usually predict.** {plain(lesson.usually)}")
        st.markdown(f"**What to say.** {plain(lesson.say)}")
        for name, unit in lesson.courses.items():
            st.caption(plain(f"{COURSES[name]}: {unit}"))
        st.download_button(
            "Worksheet (PDF)",
            data=lambda: write_worksheet(lesson, _shown(runtime, lesson)),
            file_name=f"{lesson.name}.pdf",
            mime="application/pdf",
            key=name_of(lesson, MAIN, "worksheet"),
            icon=":material/print:",
            on_click="ignore",
            help="A page to fill in by hand, with the pictures that are computed already, and a "
            "page with the answers and notes.",
        )


def _shown(runtime: Runtime, lesson: Lesson) -> Shown:
    """Those pictures that are stored, by part."""
    found: dict[str, Any] = {}
    for part in PARTS:
        challenge = lesson.part(part)
        plan = plan_of(challenge, runtime.store)
        pictures: list[tuple[Image.Image, str]] = []
        for digest, caption in zip(
            shown_digests(challenge, plan), captions(challenge, plan), strict=True
        ):
            try:
                with Image.open(io.BytesIO(runtime.store.image_bytes(digest))) as image:
                    pictures.append((image.convert("RGB"), caption))
            except (StoreError, OSError):
                continue
        found[part] = tuple(pictures)
    return found
