"""Schedulers: where their steps lie, before any picture is made."""

import streamlit as st

from ui.catalog import SCHEDULER_LAB
from ui.frame import open_page
from ui.links import check_address
from ui.schedulers.form import PREFIX, lab_form, parameters
from ui.schedulers.views import show_tables
from ui.views import show_empty

with open_page(SCHEDULER_LAB) as runtime:
    st.title("Schedulers", anchor=False)
    broken = check_address(PREFIX, parameters())
    with st.container(border=True):
        tables = lab_form(runtime.model)
    if tables:
        show_tables(tables)
    else:
        show_empty(SCHEDULER_LAB.icon, "Nothing to show", "Choose a scheduler and its steps.")
    if broken:
        st.rerun()  # with the address mended
