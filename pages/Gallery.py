"""Gallery: every stored picture, newest first."""

import streamlit as st

from ui.catalog import GALLERY, GENERATE
from ui.frame import open_page
from ui.gallery.album import (
    PREFIX,
    filter_bar,
    page_of,
    parameters,
    selection_bar,
    show_grid,
    show_opened,
)
from ui.links import check_address, mend_address
from ui.views import show_empty

with open_page(GALLERY) as runtime:
    st.title("Gallery", anchor=False)
    facets = runtime.store.facets()
    mend_address(PREFIX, {"page": 1})
    broken = check_address(PREFIX, parameters(facets))
    if runtime.store.count() == 0:
        show_empty(
            GALLERY.icon, "No pictures yet", "What you generate is kept here, with its settings."
        )
        st.page_link(GENERATE.path, label="Generate one", icon=GENERATE.icon)
    else:
        filters = filter_bar(facets)
        total = runtime.store.count(filters.text, filters.scheduler, filters.model)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{total:,} picture{'s' if total != 1 else ''}", width="stretch")
            selection_bar()
        if total == 0:
            show_empty(":material/search_off:", "No matches", "Remove a word or a filter.")
        else:
            top = st.container()
            with st.container(horizontal_alignment="center"):
                images = page_of(runtime, filters, total)
            with top:
                show_grid(runtime, images)
    show_opened(runtime)
    if broken:
        st.rerun()
