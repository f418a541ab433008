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
    kind = int if row.kind is int else float
    by = step or row.step or 1
    # Without bounds of its own: the browser keeps a number outside them to itself, so that one
    # would be shown and another used. What runs checks the settings, and says what is wrong.
    # Only a link's is dropped, which the page says, before anything of it is used.
    if _is_broken(str(shared["key"]), bottom, top):
        shared |= {"min_value": kind(bottom), "max_value": kind(top)}
    value = kind(place.number_input(row.label, value=kind(start), step=kind(by), **shared))
    if not bottom <= value <= top:
        place.caption(f":red[{value:.16g} is outside {bottom:.10g} to {top:.10g}]")
    return value


def _is_broken(key: str, bottom: float, top: float) -> bool:
    """Whether the address brings a number outside the bounds to a control not drawn before."""
    if key in st.session_state or key not in st.query_params:
        return False
    try:
        return not bottom <= float(st.query_params[key]) <= top
    except ValueError:
        return False


def default_of(row: Setting, model: Any) -> Any:
    """What a control begins with: the model's own default where it brings one."""
    return getattr(model, f"default_{row.name}") if row.name in FROM_MODEL else row.default
