"""AXES: every parameter that can be swept, from the rows of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from core.diffusion.recipe.setting import AxisError, Setting, Swept, replacing
from core.diffusion.recipe.settings_table import SETTINGS
from core.sweeps.axis_row import AxisRow
from core.sweeps.tables.several import SEVERAL

__all__ = ["AXES", "AxisError", "AxisRow", "axis_name"]


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
# steps before a snapshot of them, and several settings at once before all.
AXES: Mapping[str, AxisRow] = {
    row.name: row
    for row in (
        SEVERAL,
        *(_row(setting, swept) for setting in SETTINGS.values() for swept in setting.swept),
    )
}


def axis_name(name: str) -> str:
    """The name that an axis has now, for one that its setting had before; else the name itself."""
    if name in AXES:
        return name
    earlier = (
        row.name for row in AXES.values() if row.field and name in SETTINGS[row.field].earlier
    )
    return next(earlier, name)
