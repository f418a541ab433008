"""The reveal: what the run says beside what was predicted, with the app's own figure."""

from __future__ import annotations

import streamlit as st

from core.lessons.figures import FIGURES
from core.lessons.grading import Graded, as_order, is_right, pairs_in_order, said
from core.lessons.lesson import Challenge, Value
from core.output.figures.tiles import png
from ui.views import plain

SIDE = 164  # pixels of a picture on the screen: two fit beside each other on a phone


def show_answer(challenge: Challenge, graded: Graded, predicted: Value) -> None:
    """Both answers beside each other, and how near they are, in words that scold nobody."""
    ask, answer = challenge.ask, challenge.answer
    with st.container(horizontal=True, gap="medium"):
        for label, value in (("You said", predicted), ("The run says", graded.answer)):
            with st.container(border=True, width="stretch", gap="xxsmall"):
                st.caption(label)
                st.markdown(f"**{plain(said(ask, value))}**")
    if answer.says:
        st.markdown(plain(answer.says.replace("{answer}", said(ask, graded.answer))))
    st.markdown(plain(verdict(challenge, graded, predicted)))


def verdict(challenge: Challenge, graded: Graded, predicted: Value) -> str:
    """One sentence on a prediction."""
    if is_right(challenge.answer, challenge.ask, graded, predicted):
        return "That is what you predicted: now see whether your reason is the one below."
    if challenge.ask.kind == "order":
        right, pairs = pairs_in_order(as_order(predicted), as_order(graded.answer))
        return f"{right} of {pairs} pairs stand as you said. The others are where to look."
    return "The run says something else than you did: that is where there is something to learn."


def show_figure(challenge: Challenge, graded: Graded, *, key: str) -> None:
    """The figure of what was measured."""
    figure = FIGURES[challenge.figure](graded.measured)
    st.plotly_chart(figure, width="stretch", key=key, config={"displayModeBar": False})
    if graded.measured.pictures:
        with st.container(horizontal=True, gap="small"):
            for name, picture in zip(
                graded.measured.candidates, graded.measured.pictures, strict=True
            ):
                with st.container(width=SIDE, gap="xsmall"):
                    st.image(png(picture), width="stretch", output_format="PNG", alt=name)
                    st.caption(plain(name))
