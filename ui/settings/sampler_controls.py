"""What a sampler is made of, beside its scheduler: the settings that the scheduler takes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.diffusion.recipe.sampler import takes
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from ui.settings.fields import control
from ui.views import plain

SAMPLER = tuple(
    name for name, row in SETTINGS.items() if row.group == "sampler" and row.unfit is not None
)
"""The settings that some schedulers take and others do not."""


def sampler_controls(prefix: str, scheduler: str) -> dict[str, Any]:
    """The settings that this scheduler takes, and their values; the others are named."""
    values: dict[str, Any] = {}
    without: list[str] = []
    for name in SAMPLER:
        row = SETTINGS[name]
        offered = tuple(one for one in _some(row) if takes(SCHEDULERS[scheduler], name, one))
        if offered == (row.default,):
            without.append(row.label)
            continue
        values[name] = control(name, prefix, choices=offered if row.choices else ())
        settings = GenerationSettings(scheduler=scheduler, **values)
        if said := row.unfit and row.unfit(settings):
            st.caption(f":red[{plain(said)}]")
    if without:
        st.caption(f"{plain(scheduler)} has none of these: {plain(', '.join(without))}.")
    return values


def _some(row: Setting) -> tuple[Any, ...]:
    """The default and values beside it, by which is seen whether a scheduler takes any."""
    if row.choices:
        return row.choices
    if row.kind is bool:
        return (row.default, not row.default)
    assert row.bounds is not None
    return (row.default, row.kind(row.bounds[1]))
