"""Where the picture looks at each word: cross-attention maps, computed when asked for."""

from __future__ import annotations

import hashlib

import streamlit as st

from core.diffusion.inside.anatomy import AttentionMaps, Place, Run
from core.output.figures.tiles import overlay, png
from ui.frame import safe
from ui.runs.tasks import request_of
from ui.runtime import Runtime
from ui.steps.work import show_code, work_on
from ui.views import plain

SIDE = 256  # pixels of a map before the browser scales it
ASKED = "steps:attention"


def show_attention(runtime: Runtime, run: Run) -> None:
    """The maps of this run; the run is made again with our processor beside the model's own."""
    st.subheader("Attention maps", anchor=False)
    asked = _name(run)
    if st.session_state.get(ASKED) != asked:
        _explain()
        st.button(
            "Compute the maps",
            key="steps:attend",
            type="primary",
            icon=":material/center_focus_strong:",
            on_click=_ask,
            args=(asked,),
        )
        return
    found = work_on(runtime, "attention", request_of("attention", run.settings))
    if found is not None:
        _show_maps(found)
        with st.expander(
            "The code that does it", icon=":material/code:", key="steps:code attention"
        ):
            show_code("attention")


def _ask(name: str) -> None:
    st.session_state[ASKED] = name


def _name(run: Run) -> str:
    return hashlib.sha256(repr(run.settings).encode()).hexdigest()


def _explain() -> None:
    st.caption(
        "In every cross-attention layer each place of the picture divides its attention among the "
        "tokens: here averaged over heads, layers and calls (DAAM, Tang et al. 2023). The run is "
        "made once more for them; the picture stays the same."
    )


def _show_maps(found: AttentionMaps) -> None:
    @st.fragment
    @safe
    def maps() -> None:
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            opacity = st.slider("Strength of the map", 0.0, 1.0, 0.6, 0.05, key="steps:opacity")
            everything = st.toggle(
                "Start and end tokens",
                key="steps:start and end",
                help="They are not words, but get much of the attention: attention not used by a "
                "word.",
            )
        places = [place for place in found.prompt.places if place.kind != "padding"]
        if not everything:
            places = list(found.prompt.tokens)
        if not places:
            st.info("The prompt has no words: turn on the start and end tokens.")
            return
        grid = st.grid("auto", min_column_width=128, gap="small")
        for place in places:
            with grid.cell():
                _show_map(found, place, opacity)
        st.caption(
            f"Mean over {found.layers} layers, their heads, and {found.calls} calls. Each map has "
            "its own colour scale, from its minimum to its maximum; below it are its share of all "
            "attention, and its maximum."
        )

    maps()


def _show_map(found: AttentionMaps, place: Place, opacity: float) -> None:
    values = found.maps[place.position]
    side = max(found.image.size)
    size = (found.image.width * SIDE // side, found.image.height * SIDE // side)
    st.image(
        png(overlay(found.image.resize(size), values, opacity)),
        width="stretch",
        output_format="PNG",
        alt=f"Attention to {place.text}",
    )
    st.caption(
        f"**{plain(place.text)}** {100 * values.mean():.1f} %, up to {100 * values.max():.1f} %"
    )
