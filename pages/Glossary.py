"""Glossary: the words of the app, each in two sentences, and where each can be seen."""

import streamlit as st

from ui.catalog import GLOSSARY
from ui.frame import open_page
from ui.glossary.words import PREFIX, choose, parameters, show_named, show_words
from ui.links import check_address

with open_page(GLOSSARY):
    st.title("Glossary", anchor=False)
    broken = check_address(PREFIX, parameters())
    show_named()
    show_words(choose())
    if broken:
        st.rerun()  # with the address mended
