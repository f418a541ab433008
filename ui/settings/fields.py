"""A setting's row -> its control. Every control is bound to the address and outlives its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, overload

import streamlit as st

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import FROM_MODEL, SETTINGS
from ui.help import help_of
from ui.links import BOUND

_N = TypeVar("_N", int, float)


def control(
    name: str,
    prefix: str,
    place: Any = st,
    *,
    default: Any = None,
    low: float | None = None,
    step: float | None = None,
    choices: Sequence[str] = (),
    **options: Any,
) -> Any:
    """Draw the plain control of a setting for the page of `prefix`, and return its value.

    What is not given is the row's own: a switch for true or false, a list for choices, a box for a
    number within its bounds or for a text. A setting that can be drawn takes -1 too. `choices` are
    some of the row's own; another one that was chosen before is put back to the default.
    """
    row = SETTINGS[name]
    start = row.default if default is None else default
    shared = {"key": f"{prefix}_{name}", "help": help_of(row), **BOUND, **options}
    if row.kind is bool:
        return bool(place.toggle(row.label, bool(start), **shared))
    if row.choices:
        names = list(choices or row.choices)
        if st.session_state.get(shared["key"], start) not in names:
            st.session_state[shared["key"]] = start
        return place.selectbox(
            row.label, names, names.index(str(start)), format_func=row.told, **shared
        )
    if row.bounds is None:
        return place.text_input(row.label, str(start), **shared) or ""
    bottom, top = (row.bounds[0] if low is None else low), row.bounds[1]
    bottom = -1 if row.draws else bottom
    kind = int if row.kind is int else float
    shared["step"] = kind(step or row.step or 1)
    # What runs checks the settings, and says what is wrong.
    value = kind(_number(row.label, kind(bottom), kind(top), kind(start), place, shared))
    if not bottom <= value <= top:
        place.caption(f":red[{value:.16g} is outside {bottom:.10g} to {top:.10g}]")
    return value


@overload
def bounded(label: str, low: _N, high: _N, start: _N, *, place: Any = st, **options: Any) -> _N: ...


@overload
def bounded(
    label: str, low: _N, high: _N, start: None, *, place: Any = st, **options: Any
) -> _N | None: ...


def bounded(
    label: str, low: _N, high: _N, start: _N | None, *, place: Any = st, **options: Any
) -> _N | None:
    """Draw a box for a number that is no setting, and return the nearest within its bounds, which
    is said below it where another was typed. None where it begins empty, and is.
    """
    value = _number(label, low, high, start, place, options)
    if value is None or low <= value <= high:
        return value
    nearest = min(max(value, low), high)
    place.caption(f":red[{value:.16g} is outside {low:.10g} to {high:.10g}: {nearest:g} is used]")
    return nearest


def _number(
    label: str, low: _N, high: _N, start: _N | None, place: Any, options: dict[str, Any]
) -> Any:
    """Without bounds of its own: the browser keeps a number outside them to itself, so that one
    would be shown and another used. Only a link's is dropped, which the page says, before anything
    of it is used.
    """
    if _is_broken(str(options["key"]), low, high):
        options = {**options, "min_value": low, "max_value": high}
    return place.number_input(label, value=start, **options)


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
