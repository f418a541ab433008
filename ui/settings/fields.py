"""A setting's row -> its control. Every control is bound to the address and outlives its page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import FROM_MODEL, SETTINGS

BOUND: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}


def control(
    name: str,
    prefix: str,
    place: Any = st,
    *,
    default: Any = None,
    low: float | None = None,
    step: float | None = None,
    **options: Any,
) -> Any:
    """Draw the plain control of a setting for the page of `prefix`, and return its value.

    What is not given is the row's own: a switch for true or false, a list for choices, a box for a
    number within its bounds or for a text. A setting that can be drawn takes -1 too.
    """
    row = SETTINGS[name]
    start = row.default if default is None else default
    shared = {"key": f"{prefix}_{name}", "help": row.help, **BOUND, **options}
    if row.kind is bool:
        return bool(place.toggle(row.label, bool(start), **shared))
    if row.choices:
        names = list(row.choices)
        return place.selectbox(
            row.label, names, names.index(str(start)), format_func=row.told, **shared
        )
    if row.bounds is None:
        return place.text_input(row.label, str(start), **shared) or ""
    bottom, top = (row.bounds[0] if low is None else low), row.bounds[1]
    bottom = -1 if row.draws else bottom
    kind = row.kind
    by = step or row.step or 1
    return kind(
        place.number_input(row.label, kind(bottom), kind(top), kind(start), kind(by), **shared)
    )


def default_of(row: Setting, model: Any) -> Any:
    """What a control begins with: the model's own default where it brings one."""
    return getattr(model, f"default_{row.name}") if row.name in FROM_MODEL else row.default
