"""Words of a prompt to begin with: to replace, and to put in another order."""

from __future__ import annotations

import re

# Kinds of words that exchange for one another; the first kind found in a prompt is varied.
KINDS = (
    ("apple", "owl", "robot", "rocket", "sunflower", "penguin", "ghost", "cat", "dog", "fox"),
    ("red", "blue", "green", "yellow", "purple", "orange", "pink", "black", "white"),
    ("flat", "glossy", "detailed"),
)
COUNT = 5
MOST_ORDERED = 3


def fitting_words(prompt: str, without: str = "") -> list[str]:
    """A word of the prompt, which is searched for, and others of its kind to take its place.

    A prompt of other words gives its longest word and some of the first kind. `without` is a word
    that another axis replaces.
    """
    words: list[str] = re.findall(r"[^\W\d_]+", prompt)
    words = [word for word in words if word != without] or words
    for kind in KINDS:
        found = next((word for word in words if word.lower() in kind), None)
        if found is not None:
            return [found, *[word for word in kind if word != found.lower()]][:COUNT]
    longest = max(words, key=len, default=prompt.strip())
    return [longest, *KINDS[0]][:COUNT]


def terms_to_order(prompt: str) -> list[str]:
    """Two or three terms of a prompt whose order may be tried: its parts between commas, else its
    words of the kinds above, else its longest ones. Fewer than two for a prompt of one word.
    """
    parts = list(dict.fromkeys(part.strip() for part in prompt.split(",") if part.strip()))
    if len(parts) > 1:
        return parts[:MOST_ORDERED]
    words = list(dict.fromkeys(re.findall(r"[^\W\d_]+", prompt)))
    known = [word for word in words if any(word.lower() in kind for kind in KINDS)]
    chosen = known if len(known) > 1 else sorted(words, key=len, reverse=True)
    chosen = set(chosen[:MOST_ORDERED])
    return [word for word in words if word in chosen]
