"""RATINGS: what pictures are filtered by, as a person reads it; and a grid's own filter."""

from __future__ import annotations

import streamlit as st

from core.runs.store.opinions.ratings import FAVOURITES, MOST_STARS, UNRATED
from ui.links import BOUND

ANY = "Any"
RATINGS: dict[str, str] = {
    "Favourites": FAVOURITES,
    **{f"{'★' * stars} or more": str(stars) for stars in range(1, MOST_STARS)},
    "★" * MOST_STARS: str(MOST_STARS),
    "Not rated": UNRATED,
}
"""Label -> one of RATED."""

FIELD = "rated"


def choose_rated(prefix: str) -> None:
    """A list in a grid's looks: pictures that are not of this rating stay in their places, pale."""
    st.selectbox(
        "Rating",
        [ANY, *RATINGS],
        key=f"{prefix}_{FIELD}",
        help="The other pictures stay in their places, and are drawn pale.",
        **BOUND,
    )
