"""AxisRow: what the app knows of a parameter as an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.diffusion.recipe.problems import Problem
from core.diffusion.settings import GenerationSettings


@dataclass(frozen=True, kw_only=True)
class AxisRow:
    """A parameter as an axis.

    `apply` gives the settings with one value of the axis, or raises AxisError; `first` is the
    axis' first value (the term that a search-and-replace looks for). `field` is the setting it
    changes and `also` are others, by which a problem of the settings is told as a problem of this
    axis. `after` names axes on which it depends where they are used too, and `is_relative` says
    that it depends on all: it is then judged cell by cell. `shared` gives what all cells still
    share of the base's value, where they do. `bounds` and a sensible `step` are for the reader;
    the settings' own validation has the last word. `examples` is a list in the value syntax.
    `has_marks` says that choices and wildcards in a value stand for one value each, and `orders`
    that the values are every order of the terms that are listed.
    """

    name: str
    label: str
    field: str
    kind: type[int | float | str]
    apply: Callable[[GenerationSettings, Any, Any], GenerationSettings]
    show: Callable[[Any], str]
    examples: str
    also: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    is_relative: bool = False
    has_marks: bool = False
    orders: bool = False
    shared: Callable[[str, Sequence[Any]], str] | None = None
    bounds: tuple[float, float] | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    cost: str = "one image a value"
    note: str = ""

    def changes(self, values: Sequence[Any]) -> tuple[str, ...]:
        """Every setting that these of its values change."""
        return (self.field, *self.also)

    def judged(self, value: Any) -> tuple[str, ...]:
        """The settings of which one of its values can be judged by itself."""
        return self.changes((value,))

    def common(self, name: str, text: str, values: Sequence[Any]) -> str:
        """What all cells share of a setting that it changes, whose base value is `text`."""
        return self.shared(text, values) if self.shared else ""

    def label_at(self, values: tuple[Any, ...], index: int) -> str:
        """A value as it is told from the other values of its axis."""
        return self.show(values[index])

    def reason(self, problem: Problem) -> str:
        """A problem of a setting that it changes, in words."""
        return problem.reason

    def about(self) -> str:
        """What its values may be, and what one value more costs."""
        words = [self.note] if self.note else []
        if self.choices:
            words.append(f"One of {', '.join(self.choices)}.")
        if self.bounds is not None:
            by = f", by {self.step:g} for instance" if self.step not in (None, 1) else ""
            words.append(f"From {self.bounds[0]:g} to {self.bounds[1]:.10g}{by}.")
        return " ".join([*words, f"Cost: {self.cost}."])
