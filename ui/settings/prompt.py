"""The prompt box, and how many tokens of the prompt are read."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelInfo, describe
from core.diffusion.recipe.limits import MAX_TEXT
from core.diffusion.recipe.settings_table import PROMPTS, label_of
from ui.runtime import tokenizer
from ui.settings.controls import PREFIX, key
from ui.settings.fields import BOUND
from ui.views import show_warning


def prompt_box(model: ModelInfo, *, on_click: Callable[[], None]) -> DeltaGenerator:
    """The prompt with its button; returns the place for `count_tokens`."""
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            key=key("prompt"),
            height=76,
            placeholder="Describe the picture, then press Ctrl+Enter",
            label_visibility="collapsed",
            **BOUND,
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Generate",
                key="generate:go",
                type="primary",
                icon=":material/photo_camera:",
                shortcut="Ctrl+Enter",
                on_click=on_click,
            )
            if model.example_prompts:
                st.menu_button(
                    "Examples",
                    model.example_prompts,
                    key="generate:example",
                    icon=":material/lightbulb:",
                    on_click=_use_example,
                )
            counter = st.container(width="content")
    return counter


def count_tokens(
    place: DeltaGenerator, source: str, prefix: str = PREFIX, *, warns: bool = True
) -> None:
    """How many tokens the prompt has for the model of `source`, which, and what its text encoder
    never sees; `warns` says the same of every text of the page. Raises ModelError.
    """
    prompt: str = st.session_state.get(key("prompt", prefix)) or ""
    if len(prompt) > MAX_TEXT:  # counting it would take seconds, at every run of the page
        place.caption(f"{len(prompt):,} characters; up to {MAX_TEXT:,} are read")
        return
    counter = tokenizer(describe(source).folder)
    count, lost = counter.count(prompt), counter.cut_off(prompt)
    with place.popover(
        f"{count} of {counter.limit} tokens",
        type="tertiary",
        icon=":material/content_cut:" if lost else None,
    ):
        st.caption("The pieces that the text encoder reads. Commas and endings count too.")
        words = (
            token.text + (f" ×{token.weight:g}" if token.weight != 1 else "")
            for token in counter.tokens(prompt)
        )
        st.code(" · ".join(words) or "–", wrap_lines=True)
        if lost:
            st.caption("Cut off: the text encoder never sees this.")
            st.code(lost, language=None, wrap_lines=True)
    for field in PROMPTS if warns else ():
        text: str = st.session_state.get(key(field, prefix)) or ""
        if len(text) <= MAX_TEXT and (lost := counter.cut_off(text)):
            show_warning(
                f"The {label_of(field).lower()} is too long",
                f"The text encoder reads {counter.limit} tokens and never sees: {lost}",
                "Shorten it, or put what matters first.",
            )


def _use_example() -> None:
    st.session_state[key("prompt")] = st.session_state["generate:example"]
