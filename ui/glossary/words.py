"""The Glossary: a search, the groups, the word that the address names, and all that are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import urlencode

import streamlit as st

from core.glossary.glossary import GLOSSARY as WORDS
from core.glossary.glossary import found
from core.glossary.term import GROUPS, Term, folded
from ui.catalog import CATALOG, GLOSSARY
from ui.help import TERM, address
from ui.links import BOUND, Parameter
from ui.views import plain, show_empty, show_warning

PREFIX = GLOSSARY.prefix
SUBJECTS, LETTERS = "By subject", "A to Z"
ORDERS = (SUBJECTS, LETTERS)
CARD = 300  # pixels: one column on a phone


def key(name: str) -> str:
    return f"{PREFIX}_{name}"


def parameters() -> tuple[Parameter, ...]:
    return (
        Parameter(field="search", kind="text"),
        Parameter(field="group", kind="choice", choices=GROUPS),
        Parameter(field="order", kind="choice", choices=ORDERS),
    )


def show_named() -> None:
    """The word of `?term=`, with the words beside it; a message where there is none of the name."""
    name = st.query_params.get(TERM)
    if name is None:
        return
    term = WORDS.get(name)
    if term is None:
        show_warning("Part of the link could not be used", f"{name!r} is not a word of the list.")
        return
    with st.container(border=True, gap="xsmall", key=f"{PREFIX}-named"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(plain(term.name), anchor=False, width="stretch")
            st.button(
                "Close",
                key=f"{PREFIX}:close",
                type="tertiary",
                icon=":material/close:",
                on_click=_close,
            )
        _show_text(term)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _seen_link(term)
            for other in term.related:
                st.button(
                    plain(WORDS[other].name),
                    key=f"{PREFIX}:related:{other}",
                    type="tertiary",
                    icon=GLOSSARY.icon,
                    on_click=_open,
                    args=(other,),
                )


def _open(name: str) -> None:
    st.query_params[TERM] = name


def _close() -> None:
    st.query_params.pop(TERM, None)


def choose() -> list[Term]:
    """The search and the groups; the words that they find."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        text = st.text_input(
            "Search",
            key=key("search"),
            placeholder="sigma, CFG, Karras 2022",
            icon=":material/search:",
            width=320,
            **BOUND,
        )
        order = st.segmented_control(
            "Order", ORDERS, default=SUBJECTS, required=True, key=key("order"), **BOUND
        )
    group = st.pills("Subject", GROUPS, key=key("group"), **BOUND)
    terms = found(text or "", str(group or ""))
    if order == LETTERS and not (text or "").strip():
        terms = sorted(terms, key=lambda term: folded(term.name))
    return terms


def show_words(terms: Sequence[Term]) -> None:
    """A card a word, under the subject or the letter that it belongs to; a search by its rank."""
    if not terms:
        show_empty(":material/search_off:", "No such word", "Remove a word or the subject.")
        return
    st.caption(f"{len(terms)} word{'s' if len(terms) != 1 else ''}")
    for title, some in _parts(terms).items():
        if title:
            st.subheader(title, anchor=False)
        grid = st.grid(3, min_column_width=CARD, gap="small")
        for term in some:
            with grid.cell(), st.container(border=True, height="stretch", gap="xxsmall"):
                st.markdown(f"**{plain(term.name)}** [:material/link:]({address(term)})")
                _show_text(term)
                _seen_link(term)


def _parts(terms: Sequence[Term]) -> dict[str, list[Term]]:
    if str(st.session_state.get(key("search")) or "").strip():
        return {"": list(terms)}
    by_letter = st.session_state.get(key("order")) == LETTERS
    parts: dict[str, list[Term]] = {}
    for term in terms:
        title = folded(term.name)[0].upper() if by_letter else term.group
        parts.setdefault(title, []).append(term)
    return parts


def _show_text(term: Term) -> None:
    if term.symbol:
        st.markdown(f"${term.symbol}$")
    st.markdown(f"{plain(term.what)} {plain(term.more)}")
    st.caption(f"Source: {plain(term.source)}")


def _seen_link(term: Term) -> None:
    """A link to the page where it can be seen, set up, in a tab of its own: there nothing that the
    page held before stays.
    """
    page = next(page for page in CATALOG if page.title == term.seen.page)
    st.markdown(f"[{page.icon} See it in {page.title}]({seen_address(term)})")


def seen_address(term: Term) -> str:
    """The page and its parameters, relative to this one."""
    page = next(page for page in CATALOG if page.title == term.seen.page)
    query = {f"{page.prefix}_{name}": value for name, value in term.seen.values.items()}
    # A bracket would end the link's Markdown, and "*" is set in italics.
    text = urlencode(query, doseq=True).replace("*", "%2A")
    return PurePosixPath(page.path).stem + (f"?{text}" if text else "")
