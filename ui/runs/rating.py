"""Stars and the favourite mark of one picture: buttons, and the keys 1 to 5 and F."""

from __future__ import annotations

import streamlit as st

from core.runs.store.opinions.ratings import MOST_STARS
from ui.frame import safe
from ui.runtime import Runtime

NAMES = {0: "No stars", 1: "1 star"}


def stars_label(stars: int) -> str:
    """ "3 stars"."""
    return NAMES.get(stars, f"{stars} stars")


def show_rating(runtime: Runtime, digest: str, name: str) -> None:
    """The rating of a picture, to see and to set. Keys go to a text field that has the focus.

    `name` begins the keys of the buttons.
    """
    rating = runtime.ratings.of(digest)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for stars in range(1, MOST_STARS + 1):
            is_same = stars == rating.stars
            st.button(
                "★" if stars <= rating.stars else "☆",
                key=f"{name}:stars:{stars}",
                type="tertiary",
                shortcut=str(stars),
                help="Remove the stars" if is_same else stars_label(stars),
                on_click=safe(runtime.ratings.rate),
                args=([digest], 0 if is_same else stars),
            )
        st.button(
            "♥" if rating.is_favourite else "♡",
            key=f"{name}:favourite",
            type="tertiary",
            shortcut="F",
            help="No favourite" if rating.is_favourite else "Favourite",
            on_click=safe(runtime.ratings.mark),
            args=([digest],),
            kwargs={"is_favourite": not rating.is_favourite},
        )
