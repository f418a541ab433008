"""The words of a prompt, and the prompt without one of them. Imports no torch."""

from __future__ import annotations

import re
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
