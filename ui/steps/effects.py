"""What each word does: the same run without it, computed when asked for."""

from __future__ import annotations

import streamlit as st

from core.diffusion.inside.anatomy import Effects, Run, WordEffect
from core.diffusion.recipe.prompt.words import MOST_WORDS, words_of
from core.output.figures.tiles import overlay, png
from core.output.numbers.metrics import difference, rmse
from ui.frame import safe
from ui.links import BOUND
from ui.runs.tasks import request_of
from ui.runtime import Runtime
from ui.settings.controls import key
from ui.steps.form import PREFIX
from ui.steps.work import show_code, work_on
from ui.views import plain

SIDE = 256  # pixels of a map before the browser scales it
PAIR = 288  # pixels, the least width of a map with its picture
ASKED = "steps:effects asked"
REPLACEMENT = key("replacement", PREFIX)
OVER_RUN, ONE_CALL = "Whole run", "One UNet call"


def show_effects(runtime: Runtime, run: Run) -> None:
    """The runs without each word of the prompt, or with another in its place."""
    st.subheader("Effect of each word", anchor=False)
    st.caption(
        "The same noise without one of the words: what changes is what the word does. Attention "
        "says where the picture looks at a token, which also carries the words before it. On 56 "
        "pictures of the bundled model, of whose area the object takes 24 %, the object's word has "
        "34 % of its attention there and 78 % of its effect; the background's word has 68 % of its "
        "attention on the background, and 88 % of its effect."
    )
    if not words_of(run.settings.prompt):
        st.info("The prompt has no words.", icon=":material/content_cut:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        typed = st.text_input(
            "Replace each word by",
            key=REPLACEMENT,
            placeholder="Nothing: leave it out",
            width=240,
            **BOUND,
        )
        replacement = (typed or "").strip()
        request = request_of("effects", run.settings, replacement=replacement)
        is_asked = st.session_state.get(ASKED) == request.key
        if not is_asked:
            st.button(
                "Compute the effects",
                key="steps:take out",
                type="primary",
                icon=":material/content_cut:",
                on_click=_ask,
                args=(request.key,),
                help=f"A run for each word, up to {MOST_WORDS}, and a few more UNet calls.",
            )
    if not is_asked:
        return
    found = work_on(runtime, "effects", request)
    if found is not None:
        _show(found)
        with st.expander("The code that does it", icon=":material/code:", key="steps:code effects"):
            show_code("effects")


def _ask(name: str) -> None:
    st.session_state[ASKED] = name


def _show(found: Effects) -> None:
    @st.fragment
    @safe
    def maps() -> None:
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            kind = st.segmented_control(
                "Change", (OVER_RUN, ONE_CALL), default=OVER_RUN, required=True, key="steps:change"
            )
            at = 0
            if kind == ONE_CALL and len(found.calls) > 1:
                at = st.select_slider(
                    "UNet call",
                    range(len(found.calls)),
                    format_func=lambda index: str(found.calls[index] + 1),
                    key="steps:effect call",
                    width=240,
                )
            is_shared = st.toggle(
                "One colour scale",
                value=True,
                key="steps:effect scale",
                help="Off, each map goes from its own minimum to its own maximum.",
            )
        values = [
            difference(found.image, one.image) if kind == OVER_RUN else one.on_x0[at]
            for one in found.words
        ]
        limit = max(float(one.max()) for one in values) if is_shared else None
        grid = st.grid("auto", min_column_width=PAIR, gap="medium")
        for one, change in zip(found.words, values, strict=True):
            with grid.cell():
                side = max(found.image.size)
                size = (found.image.width * SIDE // side, found.image.height * SIDE // side)
                layers = overlay(found.image.resize(size), change, 0.7, limit)
                _show_word(found, one, png(layers))
                if kind == ONE_CALL:
                    st.caption(f"Predicted x0 moves by {change.mean():.3f} on average.")
        st.caption(_what_is_shown(found, kind == OVER_RUN))

    maps()


def _show_word(found: Effects, one: WordEffect, layers: bytes) -> None:
    """The map of a word, and beside it the picture without the word."""
    apart = rmse(found.image, one.image)
    st.markdown(f"**{plain(one.word)}** · {apart:.1f} of 255")
    left, right = st.columns(2, gap="xsmall")
    left.image(
        layers, width="stretch", output_format="PNG", alt=f"What {one.word} changes in the picture"
    )
    right.image(
        png(one.image), width="stretch", output_format="PNG", alt=one.prompt or "Without a prompt"
    )


def _what_is_shown(found: Effects, is_over_run: bool) -> str:
    done = f"replaced by “{plain(found.replacement)}”" if found.replacement else "left out"
    words = f"Left: where the change is. Right: the picture of the same noise with the word {done}"
    words += ", and how far it is from this one (RMSE)."
    if not is_over_run:
        words += (
            " At one call, the UNet is given the latents of this run with and without the word, "
            "and the map is the distance of the two predicted x0 (RMS over the channels)."
        )
    if found.not_measured:
        words += f" Not measured: {plain(', '.join(found.not_measured))}."
    return words
