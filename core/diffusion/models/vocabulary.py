"""Vocabulary: the words that a small model knows, as its card (lightbox.json) lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d\w*")
_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""))
"""Of English plurals, and what stands for them in the singular."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """`objects`: usual name -> other names of what the model draws. `filler` are words that it was
    taught to ignore. All in lower case.
    """

    objects: Mapping[str, tuple[str, ...]]
    styles: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    filler: tuple[str, ...] = ()

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Vocabulary | None:
        """The card's own; None where it has none, or none that can be read."""
        listed = card.get("vocabulary")
        if not isinstance(listed, dict):
            return None
        try:
            return cls(
                objects={str(name): _texts(others) for name, others in listed["objects"].items()},
                **{name: _texts(listed.get(name, ())) for name in _LISTS},
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            return None

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The words of a prompt that the model has never learned, each once, as they are written.

        A plural is known by its singular. Ids of LoRAs and weights are not words of a prompt: give
        its plain text.
        """
        known = self._words()
        found: dict[str, str] = {}
        for match in _WORD.finditer(prompt):
            word = match[0].lower()
            if word not in known and not any(
                word.endswith(ending) and word.removesuffix(ending) + base in known
                for ending, base in _ENDINGS
            ):
                found.setdefault(word, match[0])
        return tuple(found.values())

    def _words(self) -> frozenset[str]:
        names = [*self.objects, *(name for others in self.objects.values() for name in others)]
        texts = (*names, *self.styles, *self.backgrounds, *self.sizes, *self.filler, *_ALWAYS)
        return frozenset(word[0].lower() for text in texts for word in _WORD.finditer(text))


_LISTS = ("styles", "backgrounds", "sizes", "filler")
_ALWAYS = ("a", "an", "the", "of", "on", "in", "and", "background", "style")
"""Words of every caption's grammar."""


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("a vocabulary lists texts")
    return tuple(values)
