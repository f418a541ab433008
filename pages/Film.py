"""Film: a run, or a whole sweep, denoising as a film."""

import streamlit as st

from core.exports.films.film import Film
from ui.catalog import FILM
from ui.film.form import PREFIX, defaults, film_form, parameters
from ui.film.player import show_film
from ui.film.source import choose_runs, choose_source
from ui.frame import open_page
from ui.links import check_address, mend_address

with open_page(FILM) as runtime:
    st.title("Film", anchor=False)
    mend_address(PREFIX, defaults())
    broken = check_address(PREFIX, parameters())
    source = choose_source()
    stage, panel = st.columns([0.66, 0.34], gap="medium")
    with stage:
        chosen = choose_runs(runtime, source)
    with panel.container(border=True):
        settings = film_form(source, chosen.longest if chosen else 1)
    if chosen is not None:
        film = Film(
            store=runtime.store, settings=settings, runs=chosen.runs, sweep=chosen.sweep, z=chosen.z
        )
        with stage:
            show_film(runtime, film, chosen)
    if broken:
        st.rerun()  # with the address mended
