"""The Glossary page, the links of its words, and the links to it from help texts and captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.recipe.sampler import SPACINGS
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.glossary.glossary import GLOSSARY
from core.glossary.term import Term
from core.runs.worker.worker import Worker
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import CATALOG, Page
from ui.catalog import GLOSSARY as PAGE
from ui.film.form import parameters as film
from ui.gallery.album import PREFIX as GALLERY_PREFIX
from ui.glossary.words import seen_address
from ui.help import address
from ui.img2img.form import parameters as img2img
from ui.latents.form import parameters as latents
from ui.links import Parameter, broken_parameters
from ui.schedulers.form import AS_IS, OWN, SCHEDULES
from ui.schedulers.form import parameters as schedulers
from ui.settings.controls import parameters as generate
from ui.steps.form import parameters as steps
from ui.sweep.form import parameters as sweep
from ui.sweep.views import looks
from ui.variations.form import parameters as variations

KNOWN: Mapping[str, Iterable[Parameter]] = {
    "generate": generate(),
    "sweep": (*sweep(), *looks()),
    "img2img": img2img(),
    "latents": latents(20),
    "schedulers": schedulers(),
    "film": film(),
    "steps": steps(),
    "variations": variations(),
    GALLERY_PREFIX: (),
}
LISTS = {"names": SCHEDULERS, "spacing": (AS_IS, *SPACINGS), "levels": (OWN, *SCHEDULES)}
every_term = pytest.mark.parametrize("term", GLOSSARY.values(), ids=lambda term: term.key)


def page_of(term: Term) -> Page:
    return next(page for page in CATALOG if page.title == term.seen.page)


def query_of(term: Term) -> dict[str, str | list[str]]:
    return {f"{page_of(term).prefix}_{name}": value for name, value in term.seen.values.items()}


@every_term
def test_the_link_of_a_word_is_a_page_with_parameters_that_it_takes(term: Term) -> None:
    page, query = page_of(term), query_of(term)
    single = {name: value for name, value in query.items() if isinstance(value, str)}
    assert broken_parameters(page.prefix, tuple(KNOWN[page.prefix]), single) == {}
    for name, value in query.items():
        if isinstance(value, list):
            assert set(value) <= set(LISTS[name.removeprefix(f"{page.prefix}_")])


@every_term
def test_the_address_of_a_link_reads_back(term: Term) -> None:
    assert query_in(seen_address(term)) == query_of(term)
    assert not set(seen_address(term)) & set(" ()[]*<>")


def query_in(address: str) -> dict[str, Any]:
    """The parameters of an address, a list of those that stand there more than once."""
    found = parse_qs(urlsplit(address).query)
    lists = {f"schedulers_{name}" for name in LISTS}
    return {name: some if name in lists else some[0] for name, some in found.items()}


def distinct() -> dict[str, Term]:
    """A term for each address that is linked to."""
    return {f"{term.seen}": term for term in GLOSSARY.values()}


@pytest.mark.parametrize("page", sorted({page_of(term).path for term in GLOSSARY.values()}))
def test_every_link_opens_without_a_complaint(
    app: App, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody works here: what a page asks for waits, since the worker of tests has no model."""
    assert Worker.shared().stop()
    monkeypatch.setenv("LIGHTBOX_WORKER", "off")
    opened = 0
    for term in distinct().values():
        if page_of(term).path != page:
            continue
        at = app.open(page, **query_in(seen_address(term)))
        opened += 1
        assert not at.exception, term.key
        assert messages(at) == [], term.key
    assert opened


def test_it_shows_every_word_with_its_link(app: App) -> None:
    at = app.open(PAGE.path)
    assert messages(at) == []
    shown = unescaped(" ".join(one.value for one in at.markdown))
    for term in GLOSSARY.values():
        assert f"{term.what} {term.more}" in shown
        assert f"(Glossary?term={term.key})" in shown
        assert f"See it in {term.seen.page}]({seen_address(term)})" in shown
        assert not term.symbol or term.symbol in " ".join(one.value for one in at.markdown)


def names(at: AppTest) -> list[str]:
    """The words of the cards, in their order."""
    found = [re.match(r"\*\*(.+?)\*\* \[", unescaped(one.value)) for one in at.markdown]
    return [match[1] for match in found if match]


def test_a_search_a_subject_and_the_alphabet(app: App) -> None:
    at = app.open(PAGE.path)
    at.text_input(key="glossary_search").set_value("kynkaanniemi").run()
    assert names(at) == ["Guidance interval"]
    at.text_input(key="glossary_search").set_value("zebra").run()
    assert names(at) == []
    assert "No such word" in [one.value for one in at.subheader]
    at.text_input(key="glossary_search").set_value("").run()
    at.segmented_control(key="glossary_order").set_value("A to Z").run()
    assert names(at) == sorted(names(at), key=str.casefold)
    assert len(names(at)) == len(GLOSSARY)
    at = app.open(PAGE.path, glossary_group="Guidance")
    assert set(names(at)) == {term.name for term in GLOSSARY.values() if term.group == "Guidance"}


def test_one_word_is_opened_by_its_address(app: App) -> None:
    at = app.open(PAGE.path, term="sigma")
    assert at.subheader[0].value == "Sigma"
    assert unescaped(at.subheader[0].value) == GLOSSARY["sigma"].name
    at.button(key="glossary:related:log-snr").click().run()
    assert unescaped(at.subheader[0].value) == GLOSSARY["log-snr"].name
    at.button(key="glossary:close").click().run()
    assert at.subheader[0].value == "Model"


def test_a_word_that_is_none_is_said(app: App) -> None:
    (message,) = messages(app.open(PAGE.path, term="sigmund"))
    assert "'sigmund' is not a word of the list" in message
    (message,) = messages(app.open(PAGE.path, glossary_group="Animals"))
    assert "glossary_group" in message


def test_the_address_of_a_word_is_that_of_the_page() -> None:
    assert PAGE.path == "pages/Glossary.py"
    assert address(GLOSSARY["log-snr"]) == "Glossary?term=log-snr"
