"""Measured: a number for each candidate of a question; and the arguments of what measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from core.output.numbers.convergence import Line


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A number for each candidate: a value of an axis, a seed, a part of the picture or whatever
    the measure compares. `numbers` are the candidates themselves where they are numbers, and
    `pictures` are theirs where they are no cells of the run.
    """

    label: str
    candidates: tuple[str, ...]
    values: tuple[float, ...]
    digits: int = 2
    numbers: tuple[float, ...] | None = None
    lines: tuple[Line, ...] = ()
    pictures: tuple[Image.Image, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a measure or a take: its default and what it may be."""

    default: Any
    choices: tuple[str, ...] = ()

    def problem(self, value: Any) -> str:
        """What is wrong with a value; "" if nothing."""
        if self.choices and value not in self.choices:
            return f"{value!r} is none of {', '.join(self.choices)}"
        if isinstance(self.default, str):
            return "" if isinstance(value, str) else f"{value!r} is no text"
        if isinstance(self.default, list):
            return "" if isinstance(value, list) else f"{value!r} is no list"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is no number"
        if isinstance(self.default, int) and not isinstance(value, int):
            return f"{value!r} is no whole number"
        return ""
