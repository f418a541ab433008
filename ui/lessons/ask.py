"""What a learner predicts with: a choice, a number, an order or a place in a picture.

Who answers, and where the answer is kept, is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from core.lessons.lesson import PLACES, Ask, Kind, Value
from ui.runs.media import served
from ui.views import plain

_FOLDER = Path(__file__).parents[1] / "components"

_places = component(
    "lightbox_places",
    html=(_FOLDER / "places.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "places.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "places.js").read_text(encoding="utf-8"),
)


def predict(ask: Ask, *, key: str, picture: bytes | None = None) -> Value | None:
    """The prediction as its control has it now; None while nothing is chosen. `picture` is what a
    place is clicked in.
    """
    return _CONTROLS[ask.kind](ask, key, picture)


def _choice(ask: Ask, key: str, picture: bytes | None) -> Value | None:
    chosen = st.radio(
        "Your prediction",
        range(len(ask.options)),
        index=None,
        format_func=lambda index: plain(ask.options[index]),
        key=key,
    )
    return None if chosen is None else int(chosen)


def _number(ask: Ask, key: str, picture: bytes | None) -> Value | None:
    is_whole = all(float(one).is_integer() for one in (ask.low, ask.high, ask.step))
    low, high, step = (int(one) if is_whole else one for one in (ask.low, ask.high, ask.step))
    unit = ask.unit.replace("%", "%%")
    return float(
        st.slider(
            "Your prediction",
            low,
            high,
            low,
            step,
            format=f"{'%d' if is_whole else '%.3g'} {unit}".strip(),
            key=key,
            width=480,
        )
    )


def _order(ask: Ask, key: str, picture: bytes | None) -> Value | None:
    order: list[int] = st.session_state.setdefault(key, list(range(len(ask.options))))
    st.caption("Your prediction: the first at the top. Move each with its buttons.")
    for place, option in enumerate(order):
        st.markdown(f"**{place + 1}.** {plain(ask.options[option])}")
        with st.container(horizontal=True, gap="small"):
            for word, step in (("up", -1), ("down", 1)):
                st.button(
                    f"{plain(ask.options[option])} {word}",
                    key=f"{key}:{option}:{word}",
                    icon=f":material/arrow_{word}ward:",
                    disabled=not 0 <= place + step < len(order),
                    on_click=_move,
                    args=(key, place, step),
                )
    return tuple(order)


def _move(key: str, place: int, step: int) -> None:
    order = list(st.session_state[key])
    order[place], order[place + step] = order[place + step], order[place]
    st.session_state[key] = order


def _place(ask: Ask, key: str, picture: bytes | None) -> Value | None:
    clicked = f"{key}:picture"

    def take() -> None:
        index: Any = st.session_state[clicked].chosen
        if isinstance(index, int) and 0 <= index < len(PLACES):
            st.session_state[key] = index

    if picture is not None:
        _places(
            key=clicked,
            data={
                "picture": served(picture, clicked),
                "places": [place.capitalize() for place in PLACES],
                "chosen": st.session_state.get(key),
            },
            on_chosen_change=take,
        )
    chosen = st.pills(
        "Your prediction: click in the picture, or choose a place by its name",
        range(len(PLACES)),
        format_func=lambda index: PLACES[index].capitalize(),
        key=key,
    )
    return None if chosen is None else int(chosen)


_CONTROLS: Mapping[Kind, Callable[[Ask, str, bytes | None], Value | None]] = {
    "choice": _choice,
    "number": _number,
    "order": _order,
    "place": _place,
}
