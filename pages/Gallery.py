"""Gallery: every stored picture, newest first, the pictures of a sweep as one tile."""

import streamlit as st

from ui.catalog import GALLERY, GENERATE
from ui.frame import open_page
from ui.gallery.album import PREFIX, all_of, entries_of, filter_bar, parameters, show_album
from ui.gallery.selection import is_selecting, selection_bar, show_questions
from ui.gallery.viewer import show_opened
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
        total = runtime.store.count(filters.wanted)
        bar, tiles = st.container(horizontal=True, vertical_alignment="center"), st.container()
        if total == 0:
            show_empty(":material/search_off:", "No matches", "Remove a word or a filter.")
        else:
            with st.container(horizontal_alignment="center"):
                entries = entries_of(runtime, filters)
            with bar:
                st.caption(f"{total:,} picture{'s' if total != 1 else ''}", width="stretch")
                selection_bar(runtime, all_of(runtime, entries) if is_selecting() else ())
            with tiles:
                show_album(runtime, entries)
        if not show_questions(runtime):
            show_opened(runtime, filters)
    if broken:
        st.rerun()
