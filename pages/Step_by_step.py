"""Step by step: the pipeline taken apart, on the reader's own prompt."""

import streamlit as st

from core.diffusion.models.load import describe
from ui.catalog import STEPS
from ui.frame import open_page
from ui.links import check_address, mend_address
from ui.settings.prompt import count_tokens
from ui.steps.attention import show_attention
from ui.steps.effects import show_effects
from ui.steps.form import (
    ATTENTION,
    FUTURE,
    PREFIX,
    THE_RUN,
    choose_view,
    defaults,
    parameters,
    prompt_box,
)
from ui.steps.future import show_future
from ui.steps.mistakes import show_mistakes
from ui.steps.run import show_run
from ui.steps.work import drawn, offer_notebook, take_apart, turn_to

with open_page(STEPS) as runtime:
    st.title("Step by step", anchor=False)
    mend_address(PREFIX, defaults(runtime.model))
    broken = check_address(PREFIX, parameters())
    typed, places = prompt_box(runtime.model)
    count_tokens(places, typed.model, PREFIX, runtime.wildcards)
    settings = drawn(runtime, typed)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        view = choose_view()
        offer_notebook(settings)
    turn_to(runtime, view)
    if settings.snapshot:
        st.caption("The snapshot setting is ignored here: the whole run is shown.")
    run = take_apart(runtime, settings)
    if run is not None:
        info = describe(settings.model)
        if view == THE_RUN:
            show_run(run, info)
        elif view == FUTURE:
            show_future(runtime, run, info)
        elif view == ATTENTION:
            show_attention(runtime, run)
            show_effects(runtime, run)
        else:
            show_mistakes(runtime, run)
    if broken:
        st.rerun()  # with the address mended
