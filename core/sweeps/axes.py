"""AXES: every parameter that can be swept, from the rows of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core.diffusion.recipe.setting import AxisError, Setting, Swept, replacing
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings

__all__ = ["AXES", "AxisError", "AxisRow", "axis_name"]


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

    @property
    def fields(self) -> tuple[str, ...]:
        """Every setting that it changes."""
        return (self.field, *self.also)

    def about(self) -> str:
        """What its values may be, and what one value more costs."""
        words = [self.note] if self.note else []
        if self.choices:
            words.append(f"One of {', '.join(self.choices)}.")
        if self.bounds is not None:
            by = f", by {self.step:g} for instance" if self.step not in (None, 1) else ""
            words.append(f"From {self.bounds[0]:g} to {self.bounds[1]:.10g}{by}.")
        return " ".join([*words, f"Cost: {self.cost}."])


def _row(setting: Setting, swept: Swept) -> AxisRow:
    """A setting as an axis: what the axis does not say is the setting's own."""
    kind = cast("type[int | float | str]", swept.kind or setting.kind)
    has_own_values = kind is not setting.kind  # such as one LoRA's weight of all LoRAs
    plain = Setting(name="", default=kind(), label="", help="", group=setting.group)
    return AxisRow(
        name=swept.name or setting.name,
        label=swept.label or setting.label,
        field=setting.name,
        kind=kind,
        apply=swept.apply or replacing(setting.name),
        show=", ".join if swept.orders else plain.shown if has_own_values else setting.shown,
        examples=swept.examples,
        also=swept.also,
        after=swept.after,
        is_relative=setting.is_relative,
        has_marks=setting.is_prompt and kind is str and not swept.orders,
        orders=swept.orders,
        shared=swept.shared,
        bounds=swept.bounds or (None if has_own_values else setting.bounds),
        step=swept.step or (None if has_own_values else setting.step),
        choices=() if has_own_values else setting.choices,
        cost=swept.cost,
        note=swept.note,
    )


# In the order in which they are applied: a whole prompt comes before search and replace in it,
# steps before a snapshot of them.
AXES: Mapping[str, AxisRow] = {
    row.name: row
    for row in (_row(setting, swept) for setting in SETTINGS.values() for swept in setting.swept)
}


def axis_name(name: str) -> str:
    """The name that an axis has now, for one that its setting had before; else the name itself."""
    if name in AXES:
        return name
    return next((row.name for row in AXES.values() if name in SETTINGS[row.field].earlier), name)
