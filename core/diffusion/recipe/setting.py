"""Setting: a row of the table of settings. All that restates a setting is made from its row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.diffusion.recipe.limits import MAX_TEXT

Settings = Any
"""A frozen dataclass with a value under each setting's name: `GenerationSettings`."""

Group = Literal["prompt", "model", "sampler", "guidance", "noise", "source"]


KIND_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


class AxisError(ValueError):
    """A value that an axis cannot take; the message says why, for the person who typed it."""


def plain_number(value: Any) -> str:
    """7.0 as "7", as the web UI's own sliders give it; every digit kept otherwise."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


@dataclass(frozen=True, kw_only=True)
class WebUiText:
    """How AUTOMATIC1111's "parameters" text has a setting, or how we add it to that text.

    `keys` are the words before the colons. `write` and `read` (which raises ValueError) go from
    the value to the text and back. `is_plain` is False where a value and a key are not one to one:
    `core.output.texts.a1111.parameters` has the rest.
    """

    keys: tuple[str, ...]
    write: Callable[[Any], str] = plain_number
    read: Callable[[str], Any] | None = None
    is_plain: bool = True


@dataclass(frozen=True, kw_only=True)
class Swept:
    """How a setting is an axis; a row of the table may have several, or none.

    `name` and `label` are the setting's own where they are "". `apply(settings, value, first)`
    gives the settings with one value, where more than the plain setting changes, or raises
    AxisError; `first` is the axis' first value. `also` names the other settings it changes.
    `after` names axes on which it depends where they are used too: it is then judged cell by cell.
    `shared(value, values)` is what all cells still share of the base's value. `orders` says that
    the values are terms, and that the axis has every order of them, each a tuple.
    """

    name: str = ""
    label: str = ""
    kind: type[int | float | str] | None = None
    examples: str
    apply: Callable[[Settings, Any, Any], Settings] | None = None
    also: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    shared: Callable[[str, Sequence[Any]], str] | None = None
    orders: bool = False
    bounds: tuple[float, float] | None = None
    step: float | None = None
    cost: str = "one image a value"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row: all that the app needs to know of a setting.

    `default` also says its kind. `bounds` are inclusive; `step` is what a control moves by.
    `matters(settings)` says whether it has an effect on the pixels there; `is_told` whether it is
    named even where it has none ("1 (off)"). `check` gives what is wrong with a value beyond kind,
    bounds and choices, "" for nothing; `unfit(settings)` why it does not go with the other
    settings, "" where it does. `canonical` brings equal pixels to one form in the digest.
    `show` writes a value for a label, `tell` for a table. `is_relative` says that only a whole
    setting of a run can be judged: a sweep does it cell by cell. `from_model` says that a model
    brings its own default. `draws` says that -1 stands for "draw one" in a form.
    `encoder_argument` is the parameter of diffusers' pipelines and their `encode_prompt` that it
    is, where it is one. `since` is the version that has it first, `earlier` are the names it had
    before.
    """

    name: str
    default: bool | int | float | str
    label: str
    help: str
    group: Group
    bounds: tuple[float, float] | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    matters: Callable[[Settings], bool] = lambda settings: True
    is_told: bool = False
    check: Callable[[Any], str] | None = None
    unfit: Callable[[Settings], str] | None = None
    canonical: Callable[[Any], Any] = lambda value: value
    show: Callable[[Any], str] | None = None
    tell: Callable[[Any], str] | None = None
    link_choices: tuple[str, ...] = ()
    is_prompt: bool = False
    is_relative: bool = False
    from_model: bool = False
    draws: bool = False
    encoder_argument: str = ""
    web_ui: WebUiText | None = None
    swept: tuple[Swept, ...] = ()
    since: str = "0.1.0"
    earlier: tuple[str, ...] = ()

    @property
    def kind(self) -> type[bool | int | float | str]:
        return type(self.default)

    def problem(self, value: Any) -> str:
        """What is wrong with a value of the right kind, taken by itself; "" if nothing."""
        if self.is_prompt and "\x00" in value:
            return "contains a NUL character: type it again"
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return f"has {len(value):,} characters; up to {MAX_TEXT:,} are read"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is not a finite number"
        if self.bounds is not None and not _lies_within(value, self.bounds):
            low, high = (f"{bound:.10g}" for bound in self.bounds)
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            return f"{shown} is outside {low} to {high}"
        if self.choices and self.check is None and value not in self.choices:
            return f"{value!r} is none of {', '.join(self.choices)}"
        return self.check(value) if self.check else ""

    def shown(self, value: Any) -> str:
        """A value as a label writes it."""
        if self.show is not None:
            return self.show(value)
        return f"{value:g}" if isinstance(value, float) else str(value) or "(empty)"

    def told(self, value: Any) -> str:
        """A value as a table writes it; "" for what needs no line."""
        if self.tell is not None:
            return self.tell(value)
        if isinstance(value, bool):
            return "yes" if value else ""
        return self.shown(value) if value != "" else ""


def replacing(name: str) -> Callable[[Settings, Any, Any], Settings]:
    """An axis' `apply` that sets one setting to the value."""

    def apply(settings: Settings, value: Any, first: Any) -> Settings:
        return replace(settings, **{name: value})

    return apply


def _lies_within(value: Any, bounds: tuple[float, float]) -> bool:
    return bool(bounds[0] <= value <= bounds[1])


def converted(value: object, kind: type) -> Any:
    """A value as a setting's kind, whole floats as ints; None where it is of another."""
    if isinstance(value, bool) or kind is bool:
        return value if isinstance(value, bool) and kind is bool else None
    if kind is str:
        return value if isinstance(value, str) else None
    if not isinstance(value, int | float):
        return None
    if kind is int:
        return int(value) if math.isfinite(value) and value == int(value) else None
    try:
        return float(value)
    except OverflowError:
        return None
