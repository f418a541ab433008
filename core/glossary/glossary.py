"""GLOSSARY: one row a word, and the words of a setting, a figure or a measure."""

from __future__ import annotations

from collections.abc import Mapping

from core.diffusion.recipe.settings_table import label_of
from core.glossary.term import GROUPS, Term, folded
from core.glossary.words.evidence import EVIDENCE_WORDS
from core.glossary.words.guidance import GUIDANCE_WORDS
from core.glossary.words.model import MODEL_WORDS
from core.glossary.words.noise import NOISE_WORDS
from core.glossary.words.prompt import PROMPT_WORDS
from core.glossary.words.sampler import SAMPLER_WORDS

_ROWS = (
    *MODEL_WORDS,
    *NOISE_WORDS,
    *SAMPLER_WORDS,
    *GUIDANCE_WORDS,
    *PROMPT_WORDS,
    *EVIDENCE_WORDS,
)

GLOSSARY: Mapping[str, Term] = {
    row.key: row
    for row in sorted(_ROWS, key=lambda row: (GROUPS.index(row.group), row.name.casefold()))
}
"""Key -> term, by group, in alphabetical order within it."""


def words_of_setting(name: str) -> list[Term]:
    """The words that a setting's help links to; the one that it is called by comes first."""
    label = folded(label_of(name))
    terms = [term for term in _ROWS if name in term.settings]
    return sorted(terms, key=lambda term: label not in map(folded, (term.name, *term.also)))


def words_of_figure(name: str) -> list[Term]:
    """The words that the caption of a figure links to."""
    return [term for term in _ROWS if name in term.figures]


def words_of_quantity(name: str) -> list[Term]:
    """The words that the note of a measure links to."""
    return [term for term in _ROWS if name in term.quantities]


def found(text: str, group: str = "") -> list[Term]:
    """The terms of a search, of one group or of all: those whose name begins so first."""
    terms = [term for term in GLOSSARY.values() if group in ("", term.group)]
    if not text.strip():
        return terms
    hits = [term for term in terms if term.matches(text)]
    return sorted(hits, key=lambda term: not term.is_named(text))
