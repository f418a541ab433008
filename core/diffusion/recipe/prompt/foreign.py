"""Marks of other tools' prompts that have no effect here: they are read as plain words, and said.

They are those of the web UI's `modules/prompt_parser.py` and `modules/extra_networks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SQUARE = re.compile(r"\[([^\[\]]*)\]")
_WHEN = re.compile(r"\s{0,8}\d{1,9}(?:\.\d{1,9})?\s{0,8}")
_MOST = 4
_EXCERPT = 40

NETWORK, BREAK, AND, EDITING, ALTERNATION = (
    "the LoRA or hypernetwork",
    "BREAK",
    "AND",
    "the change between steps",
    "the words in turn",
)
_MARKS: Mapping[str, re.Pattern[str]] = {
    NETWORK: re.compile(r"<(?:lora|lyco|hypernet):[^<>]{1,400}>", re.I),
    BREAK: re.compile(r"\bBREAK\b"),
    AND: re.compile(r"\bAND\b"),
}


def foreign_marks(prompt: str) -> list[tuple[str, str]]:
    """Each mark that stands in a prompt and its kind, those of one kind together."""
    found = [(match[0], kind) for kind, mark in _MARKS.items() for match in mark.finditer(prompt)]
    for match in _SQUARE.finditer(prompt):
        inner = match[1]
        if "|" in inner:
            found.append((match[0], ALTERNATION))
        elif ":" in inner and _WHEN.fullmatch(inner.rpartition(":")[2]):
            found.append((match[0], EDITING))
    return list(dict.fromkeys(found))


def foreign_words(prompt: str) -> str:
    """What is to be said of a prompt's marks; "" where it has none."""
    found = foreign_marks(prompt)
    if not found:
        return ""
    shown = ", ".join(
        mark if len(mark) <= _EXCERPT else f"{mark[:_EXCERPT]}…" for mark, _ in found[:_MOST]
    )
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    words = f"has marks that are read as plain words: {shown}{more}"
    return words + (
        ". Name LoRAs in the LoRA setting" if any(kind == NETWORK for _, kind in found) else ""
    )
