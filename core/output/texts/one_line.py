"""One line of text that can be drawn: no line breaks, no control characters, no lone surrogates."""

from __future__ import annotations

JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""Not printable by themselves: they shape the letters beside them."""


def clean(text: str) -> str:
    """One line of drawable text: any white space is a space, a lone surrogate a question mark;
    control characters are left out.
    """
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(letter for letter in line if letter.isprintable() or letter in JOINERS)
