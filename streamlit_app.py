"""Home: what this is, a prompt to begin with, what was made last, and the pages."""

import streamlit as st

from ui.catalog import HOME
from ui.frame import open_page
from ui.home.home import (
    show_intro,
    show_left_off,
    show_machine,
    show_pages,
    show_recent,
    show_start,
)
from ui.server import MIDDLEWARE, lifespan

if __name__ != "__main__":  # imported by the server: `streamlit run` looks for an `app`
    app = st.App(__file__, lifespan=lifespan, middleware=MIDDLEWARE)
else:
    with open_page(HOME) as runtime:
        show_intro()
        show_start(runtime)
        show_left_off(runtime)
        show_recent(runtime)
        show_pages()
        show_machine(runtime)
