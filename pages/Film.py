"""Film: a run, or a whole sweep, as a moving picture."""

import streamlit as st

from core.exports.films.film import Film
from ui.catalog import FILM
from ui.film.form import PREFIX, cut_form, defaults, parameters
from ui.film.source import choose_source, footage_of
from ui.film.stage import show_film
from ui.frame import open_page
from ui.links import check_address, mend_address

with open_page(FILM) as runtime:
    st.title("Film", anchor=False)
    mend_address(PREFIX, defaults())
    broken = check_address(PREFIX, parameters())
    source = choose_source()
    stage, panel = st.columns([0.66, 0.34], gap="medium")
    with stage:
        footage = footage_of(runtime, source)
    with panel.container(border=True):
        cut = cut_form(source, footage.longest if footage else 1)
    if footage is not None:
        film = Film(
            store=runtime.store, cut=cut, shots=footage.shots, sweep=footage.sweep, z=footage.z
        )
        with stage:
            show_film(runtime, film, footage)
    if broken:
        st.rerun()  # with the address mended
