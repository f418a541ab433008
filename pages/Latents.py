"""Latents: what happens to the numbers between noise and picture, run over run."""

import streamlit as st

from ui.catalog import LATENTS
from ui.frame import open_page
from ui.latents.figures import show_downloads, show_figures
from ui.latents.form import PREFIX, defaults, look_form, parameters, run_in_view
from ui.latents.legend import show_legend
from ui.latents.runs import image_of, runs_of
from ui.latents.step import STAGE, show_step
from ui.links import check_address, mend_address
from ui.runs.run_picker import pick_runs

with open_page(LATENTS) as runtime:
    st.title("Latents", anchor=False)
    images = pick_runs(runtime, PREFIX, several=True)
    runs = runs_of(runtime, images)
    broken = False
    if runs:
        controls = st.container()
        # The step comes first and stays in view while the figures scroll.
        stage = st.container(key=STAGE, border=True)
        colours = show_legend(runs)
        focus = run_in_view(runs)
        steps = len(runs[focus].records)
        mend_address(PREFIX, defaults(steps))
        with controls:
            broken = check_address(PREFIX, parameters(steps))
            look = look_form(runs, focus, colours)
        show_figures(runtime.store, runs, look)
        with stage:
            show_step(runtime, runs, look, image_of(images, runs[focus]))
        show_downloads(runs)
    if broken:
        st.rerun()  # with the address mended
