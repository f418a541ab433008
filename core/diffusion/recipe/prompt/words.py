"""The words of a prompt, and the prompt without one of them. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_WORDS = 16
"""Of a prompt, whose effects are measured: each costs a run of its own."""

_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SPACES = re.compile(r"\s+(?=[\s,.;)])")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a prompt: its text, and where it stands in it."""

    text: str
    start: int
    end: int


def words_of(prompt: str) -> tuple[Word, ...]:
    """The words of a prompt in their order, without numbers, weights, brackets, AND and BREAK."""
    return tuple(
        Word(text=found[0], start=found.start(), end=found.end())
        for found in _WORD.finditer(prompt)
        if found[0] not in ("AND", "BREAK")
    )


def with_other(prompt: str, word: Word, replacement: str = "") -> str:
    """The prompt with the replacement in this word's place, "" for none."""
    changed = f"{prompt[: word.start]}{replacement}{prompt[word.end :]}"
    return changed if replacement else _SPACES.sub("", changed).strip()


def with_terms(prompt: str, terms: Sequence[str], others: Sequence[str]) -> str:
    """The prompt with others in the places of its terms, the first of them in the first place.

    A term's place is the first where it stands clear of the others; longer terms are placed first,
    so that "apple" is not found in "pineapple". Raises ValueError for terms that are not in the
    prompt, or only inside of others.
    """
    if missing := [term for term in terms if term not in prompt]:
        named = " and ".join(map(repr, missing))
        raise ValueError(f"{named} {'is' if len(missing) == 1 else 'are'} not in the prompt")
    places: list[range] = []
    for term in sorted(terms, key=len, reverse=True):
        starts = (found.start() for found in re.finditer(rf"(?={re.escape(term)})", prompt))
        ranges = (range(start, start + len(term)) for start in starts)
        place = next((one for one in ranges if not any(_overlap(one, x) for x in places)), None)
        if place is None:
            raise ValueError(f"{term!r} overlaps with another term in the prompt: name terms apart")
        places.append(place)
    written, end = "", 0
    for place, other in zip(sorted(places, key=lambda one: one.start), others, strict=True):
        written += prompt[end : place.start] + other
        end = place.stop
    return written + prompt[end:]


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
