"""A sweep as the controls of the Sweep page, and as parameters of its address."""

from __future__ import annotations

import streamlit as st

from core.sweeps.axes import AXES
from core.sweeps.axis import SIDES, Axis
from core.sweeps.reading import axis_text
from core.sweeps.sweep import NewSeed, Sweep
from ui.catalog import SWEEP
from ui.links import put_settings

NOTHING = "none"
"""The choice of a side along which nothing varies."""

NEW_SEED_NAMES: dict[NewSeed, str] = {
    "": "One seed",
    "column": "New per column",
    "row": "New per row",
    "page": "New per page",
}


def key(name: str) -> str:
    """The name of a control of the Sweep page."""
    return f"{SWEEP.prefix}_{name}"


def axis_label(name: str) -> str:
    """What a side's control and the address call an axis."""
    return AXES[name].label if name in AXES else "Nothing"


def put_sweep(sweep: Sweep) -> dict[str, str]:
    """Set every control to `sweep`: in a callback, or before the controls are drawn. Return them
    as parameters of the address, for who comes from another page.
    """
    query = put_settings(SWEEP.prefix, sweep.base.to_dict())
    for side in SIDES:
        axis: Axis | None = getattr(sweep, side)
        parts = axis.parts() if axis else ()
        for part, name in zip((*parts, None, None)[:2], (side, f"{side}_link"), strict=True):
            st.session_state[key(name)] = part.name if part else NOTHING
            values = axis_text(AXES[part.name], part.values) if part else ""
            st.session_state[key(f"{name}_values")] = values
            if part:
                query[key(name)] = axis_label(part.name)
                query[key(f"{name}_values")] = values
    st.session_state[key("new_seed")] = NEW_SEED_NAMES[sweep.new_seed]
    return query | {key("new_seed"): NEW_SEED_NAMES[sweep.new_seed]}


def take_sweep(sweep: Sweep) -> None:
    """Set the page to `sweep`: the callback of its own buttons."""
    put_sweep(sweep)
