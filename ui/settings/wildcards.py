"""The wildcards that a prompt may name, listed beside its box."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.recipe.prompt.wildcards import Wildcards
from ui.views import plain

MOST_LISTED = 200
FEW = 12
LIST_HEIGHT = 300  # pixels; a longer list scrolls


def show_wildcards(place: DeltaGenerator, wildcards: Wildcards) -> None:
    """A popover that says how choices are written, and which wildcards there are."""
    with place.popover("Wildcards", type="tertiary", icon=":material/shuffle:"):
        st.caption(
            "`{red|blue}` is one of the two, `__animal__` a line of the file animal.txt. Each seed "
            "draws its own words, and the same seed always the same ones. `{2$$a|b|c}` are two of "
            "them, `{1-2$$ and $$a|b}` one or two with their own words between, and `{3::a|b}` is "
            "a three times as often. `\\{` is the character."
        )
        found = wildcards.names()
        if not found:
            st.markdown("No wildcards yet. Put text files, one option a line, into this folder:")
            st.code(str(wildcards.folder), language=None, wrap_lines=True)
            return
        lines = [f"__{name}__  {count:,} line{'s' * (count != 1)}" for name, count in found]
        if len(lines) > MOST_LISTED:
            lines = [*lines[:MOST_LISTED], f"and {len(lines) - MOST_LISTED} more"]
        with st.container(height=LIST_HEIGHT if len(lines) > FEW else "content", border=False):
            st.code("\n".join(lines), language=None, wrap_lines=True)
        st.caption(plain(f"In {wildcards.folder}"))
