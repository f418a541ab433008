"""Axis: a parameter and its values, read from text or a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.diffusion.recipe.prompt.marks import Marks
from core.sweeps.axes import AXES, AxisRow, axis_name
from core.sweeps.reading import kept_values, read_axis
from core.sweeps.values import ValuesError, format_values

SIDES = ("x", "y", "z")


SIDE_NAMES = {"x": "columns", "y": "rows", "z": "pages"}


class SweepError(ValueError):
    """A sweep that cannot be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A row of AXES and its values; `linked` moves along with it, value by value.

    Raises SweepError where another moves along with `linked`.
    """

    name: str
    values: tuple[Any, ...]
    linked: Axis | None = None

    def __post_init__(self) -> None:
        if self.linked is not None and self.linked.linked is not None:
            names = ", ".join((self.name, self.linked.name, self.linked.linked.name))
            raise SweepError(f"{names}: two parameters can move together, not more")

    def parts(self) -> tuple[Axis, ...]:
        return (self, self.linked) if self.linked else (self,)

    def label(self) -> str:
        """ "Steps with Guidance scale" for linked axes."""
        return " with ".join(row_of(part).label for part in self.parts())

    def value_label(self, index: int) -> str:
        """What tells a value from the others."""
        return ", ".join(row_of(part).label_at(part.values, index) for part in self.parts())

    def whole_value(self, index: int) -> str:
        """All that a value says, also what the others say too."""
        return ", ".join(row_of(part).show(part.values[index]) for part in self.parts())


def parse_axis(
    name: str, text: str, *, is_linked: bool = False, marks: Marks | None = None
) -> Axis:
    """An axis from text as `read_axis` reads it. Raises SweepError with every bad value's place.

    Duplicates are dropped, unless the axis is linked with another: there each value has a partner.
    """
    name = axis_name(name)
    if name not in AXES:
        raise SweepError(f"{name!r} is not an axis: use one of {', '.join(AXES)}")
    try:
        found = read_axis(AXES[name], text, marks)
        return Axis(name=name, values=found.written if is_linked else found.values)
    except ValuesError as error:
        raise SweepError(f"{AXES[name].label}: {error}") from error


def row_of(axis: Axis) -> AxisRow:
    """The row of AXES that an axis names."""
    return AXES[axis.name]


def in_order(parts: Sequence[Axis]) -> list[Axis]:
    """Axes in the order in which they are applied: that of AXES."""
    return sorted(parts, key=lambda part: list(AXES).index(part.name))


def axis_to_dict(axis: Axis) -> dict[str, Any]:
    """An axis as a dictionary that `axis_from` reads."""
    found: dict[str, Any] = {"axis": axis.name, "values": kept_values(row_of(axis), axis.values)}
    if axis.linked:
        found["linked"] = axis_to_dict(axis.linked)
    return found


def axis_from(
    values: Any, side: str, marks: Marks | None = None, *, is_linked: bool = False
) -> Axis:
    """An axis of a side from such a dictionary, its values listed or as text. Raises SweepError."""
    if not isinstance(values, Mapping) or not {"axis", "values"} <= set(values):
        raise SweepError(f'{side}: must be a table with "axis" and "values"')
    unknown = set(values) - {"axis", "values", "linked"}
    if unknown:
        raise SweepError(f"{side}: {', '.join(sorted(unknown))}: no part of an axis")
    listed = values["values"]
    if isinstance(listed, list | tuple):
        listed = format_values([v if isinstance(v, str) else _number(v, side) for v in listed])
    is_linked = is_linked or "linked" in values
    axis = parse_axis(str(values["axis"]), str(listed), is_linked=is_linked, marks=marks)
    if "linked" not in values:
        return axis
    return replace(axis, linked=axis_from(values["linked"], side, marks, is_linked=True))


def _number(value: Any, side: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SweepError(f"{side}: {value!r} is neither a number nor a text")
    return value
