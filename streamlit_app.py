"""Home: what this is, the pages as cards, and what was made last."""

import streamlit as st

from ui.catalog import HOME
from ui.frame import open_page
from ui.home.home import show_cards, show_intro, show_machine, show_recent
from ui.server import MIDDLEWARE, lifespan

if __name__ != "__main__":  # imported by the server: `streamlit run` looks for an `app`
    app = st.App(__file__, lifespan=lifespan, middleware=MIDDLEWARE)
else:
    with open_page(HOME) as runtime:
        show_intro()
        show_cards()
        show_recent(runtime)
        show_machine(runtime)
