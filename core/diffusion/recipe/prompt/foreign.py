"""Marks in prompts that have no effect here: they are read as plain words, and said.

They are those of the web UI's `modules/prompt_parser.py` and `modules/extra_networks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.diffusion.recipe.prompt.editing import changes_of, unread_bracket

_MOST = 4
_EXCERPT = 40

NETWORK, AND, UNREAD = (
    "the LoRA or hypernetwork",
    "AND outside the prompt",
    "the bracket that is not closed",
)
_MARKS: Mapping[str, re.Pattern[str]] = {
    NETWORK: re.compile(r"<(?:lora|lyco|hypernet):[^<>]{1,400}>", re.I),
    AND: re.compile(r"\bAND\b"),
}


def foreign_marks(prompt: str, name: str = "prompt") -> list[tuple[str, str]]:
    """Each mark without effect in a text of the setting `name` and its kind, those of one kind
    together. AND joins prompts in the prompt alone.
    """
    found = [
        (match[0], kind)
        for kind, mark in _MARKS.items()
        if kind != AND or name != "prompt"
        for match in mark.finditer(prompt)
    ]
    if place := unread_bracket(prompt):
        found.append((place, UNREAD))
    return list(dict.fromkeys(found))


def foreign_words(prompt: str, name: str = "prompt", steps: int = 0) -> str:
    """What is to be said of a text's marks, "" where it has none: of those that are read as plain
    words, and of changes that come after so many steps (0: not known).
    """
    return "; ".join(filter(None, (_plain_words(prompt, name), _late(prompt, steps))))


def _plain_words(prompt: str, name: str) -> str:
    found = foreign_marks(prompt, name)
    if not found:
        return ""
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    shown = ", ".join(_excerpt(mark) for mark, _ in found[:_MOST])
    words = f"has marks that are read as plain words: {shown}{more}"
    kinds = {kind for _, kind in found}
    if NETWORK in kinds:
        words += ". Name LoRAs in the LoRA setting"
    if UNREAD in kinds:
        words += ". Write a change as [from:to:0.5], and a | inside [ ] alone"
    return words


def _late(prompt: str, steps: int) -> str:
    if not steps:
        return ""
    never = [one.when for one in changes_of(prompt) if one.last_step(steps) >= steps]
    if not never:
        return ""
    which = ", ".join(never[:_MOST])
    return f"changes after the last of {steps} steps, at {which}: write an earlier step"


def _excerpt(mark: str) -> str:
    return mark if len(mark) <= _EXCERPT else f"{mark[:_EXCERPT]}…"
