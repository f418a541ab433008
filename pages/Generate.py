"""Generate: a prompt becomes a picture that is watched while it develops."""

from functools import partial

import streamlit as st

from ui.catalog import GENERATE
from ui.clicks import note_click
from ui.frame import open_page, safely
from ui.generate.stage import show_stage, submit
from ui.links import check_address, mend_address
from ui.settings.controls import PREFIX, default_values, parameters, settings_form, use_found
from ui.settings.drop import drop_zone
from ui.settings.prompt import count_tokens, prompt_box

with open_page(GENERATE) as runtime:
    st.title("Generate", anchor=False)
    mend_address(PREFIX, default_values(runtime.model))
    broken = check_address(PREFIX, parameters())
    places = prompt_box(runtime.model, on_click=partial(note_click, GENERATE.prefix))
    stage, panel = st.columns([0.64, 0.36], gap="medium")
    with panel.container(border=True):
        form = settings_form(runtime.model)
        with st.expander("Settings from a picture", icon=":material/upload_file:"):
            drop_zone(runtime, use=use_found)
    with stage, safely():
        submit(runtime, form)
        show_stage(runtime, form)
    count_tokens(places, form.settings.model, PREFIX, runtime.wildcards)
    if broken:
        st.rerun()  # with the address mended
