"""Variations: pictures like this one, by changing the noise that it starts from."""

import streamlit as st

from ui.catalog import VARIATIONS
from ui.frame import open_page
from ui.links import check_address, mend_address
from ui.variations.form import PREFIX, defaults, parameters
from ui.variations.source import choose_source
from ui.variations.views import show_views

with open_page(VARIATIONS) as runtime:
    st.title("Variations", anchor=False)
    mend_address(PREFIX, defaults(runtime.model))
    broken = check_address(PREFIX, parameters())
    source = choose_source(runtime)
    if source is not None:
        show_views(runtime, source)
    if broken:
        st.rerun()  # with the address mended
