"""How long the sentences of a lesson are, and which controls they name."""

from __future__ import annotations

import re

MOST_WORDS = 25
"""Of a sentence."""

MOST_WHY = 120
"""Words that say why."""

_END = re.compile(r"(?<=[.!?:])\s+")
_BOLD = re.compile(r"\*\*(.+?)\*\*")


def sentences(text: str) -> list[str]:
    """The sentences of a text; a colon ends one too."""
    return [one for one in _END.split(" ".join(text.split())) if one]


def words(text: str) -> list[str]:
    """The words of a text: what has a letter or a digit in it."""
    return [one for one in text.split() if any(letter.isalnum() for letter in one)]


def too_long(text: str) -> list[str]:
    """The sentences of more than MOST_WORDS words."""
    return [one for one in sentences(text) if len(words(one)) > MOST_WORDS]


def named_controls(text: str) -> list[str]:
    """What a text names as a control or a page of the app: what is in **bold**."""
    return _BOLD.findall(text)
