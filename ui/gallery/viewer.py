"""One picture of the Gallery, opened: what made it, where it can go, and the one beside it."""

from __future__ import annotations

import streamlit as st

from core.runs.store.store import StoredImage
from ui.catalog import GALLERY
from ui.frame import safe
from ui.gallery.album import Filters
from ui.gallery.selection import ask_to_delete
from ui.runs.rating import show_rating
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runtime import Runtime
from ui.send import OPEN
from ui.views import ago, picture_bytes, plain, show_picture

PREFIX = GALLERY.prefix
SURE = f"{PREFIX}:sure"
LONGEST = 200  # letters of a prompt above its picture
TURNS = {
    "newest": {"Newer": "Left", "Older": "Right"},
    "oldest": {"Older": "Left", "Newer": "Right"},
    "best": {"Previous": "Left", "Next": "Right"},
}
"""Order -> the buttons that turn to the picture before and to the one after, with their keys."""


def show_opened(runtime: Runtime, filters: Filters) -> None:
    """The picture that was clicked or that the address names, if there is one."""
    digest = st.session_state.get(OPEN) or st.query_params.get(OPEN)
    if not digest:
        return
    image = runtime.store.get(digest)
    if image is None:
        _close()
        st.info("The picture in the link was not found. It may have been deleted.")
        return
    st.session_state[OPEN] = digest
    _show_one(runtime, filters)


@st.dialog("Picture", width="large", icon=":material/image:", on_dismiss=lambda: _close())
@safe
def _show_one(runtime: Runtime, filters: Filters) -> None:
    """Turning draws this alone, not the page behind it."""
    digest = str(st.session_state.get(OPEN))
    image = runtime.store.get(digest)
    if image is None:
        st.info("This picture was not found. It may have been deleted.")
        return
    if st.query_params.get(OPEN) != digest:
        st.query_params[OPEN] = digest
    before, after = runtime.store.neighbours(image, filters.wanted, order=filters.order)
    st.markdown(f"**{plain(_shortened(image.settings.prompt) or '(no prompt)')}**")
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        if (data := picture_bytes(runtime.store, image.digest)) is not None:
            show_picture(data, image)
        show_rating(runtime, image.digest, f"{PREFIX}:rating")
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            for (label, key), to in zip(TURNS[filters.order].items(), (before, after), strict=True):
                _turn(label, key, to)
        with st.container(horizontal=True):
            show_actions(runtime, image, GALLERY)
            asked = st.button("Delete", key=f"{PREFIX}:delete_one", icon=":material/delete:")
        if asked or st.session_state.get(SURE) == image.digest:
            st.session_state[SURE] = image.digest
            answer = ask_to_delete(runtime, [image.digest])
            if answer is not None:
                st.session_state.pop(SURE, None)
                if answer:
                    _close()
                st.rerun()
    with right:
        show_facts(image)
        st.caption(f"{ago(image.created_at)} · {image.settings.scheduler}")
        show_settings(image)


def _turn(label: str, key: str, to: StoredImage | None) -> None:
    st.button(
        label,
        key=f"{PREFIX}:{label.lower()}",
        shortcut=key,
        disabled=to is None,
        on_click=_turn_to,
        args=(to,),
    )


def _turn_to(image: StoredImage | None) -> None:
    st.session_state.pop(SURE, None)
    if image is not None:
        st.session_state[OPEN] = image.digest


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"


def _close() -> None:
    for name in (OPEN, SURE):
        st.session_state.pop(name, None)
    st.query_params.pop(OPEN, None)
