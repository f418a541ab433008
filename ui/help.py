"""Help texts and captions with links to the glossary, made from its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from core.diffusion.recipe.setting import Setting
from core.glossary.glossary import words_of_figure, words_of_quantity, words_of_setting
from core.glossary.term import Term
from ui.catalog import GLOSSARY
from ui.views import plain

TERM = "term"
"""The parameter of the Glossary's address: the word that is opened."""


def help_of(row: Setting, text: str = "") -> str:
    """A setting's help, or `text` in its stead, with links to its words."""
    return _with_links(text or row.help, words_of_setting(row.name))


def links_of_setting(name: str) -> str:
    """ "Glossary: ..." for what is said of a setting beside its control; "" without a word."""
    return glossary_links(words_of_setting(name))


def links_of_figure(name: str) -> str:
    """ "Glossary: ..." for the caption of a figure; "" where it has no word."""
    return glossary_links(words_of_figure(name))


def links_of_quantity(name: str) -> str:
    """ "Glossary: ..." for the caption of a measure."""
    return glossary_links(words_of_quantity(name))


def note_of_quantity(name: str, note: str) -> str:
    """What a measure is, with links to its words."""
    return _with_links(note, words_of_quantity(name))


def glossary_links(terms: Sequence[Term]) -> str:
    """Markdown of the links. A browser opens them in a new tab: the page here stays as it is."""
    if not terms:
        return ""
    return "Glossary: " + ", ".join(f"[{plain(term.name)}]({address(term)})" for term in terms)


def address(term: Term) -> str:
    """The word's page, beside the page that links to it: relative, whatever the app's base is."""
    return f"{PurePosixPath(GLOSSARY.path).stem}?{TERM}={quote(term.key)}"


def _with_links(text: str, terms: Sequence[Term]) -> str:
    links = glossary_links(terms)
    return f"{text}\n\n{links}" if links else text
