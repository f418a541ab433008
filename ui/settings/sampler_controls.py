"""What a sampler is made of, beside its scheduler: the settings that the scheduler takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from ui.settings.fields import control
from ui.views import plain

SAMPLER = tuple(name for name, row in SETTINGS.items() if row.unfit is not None)
"""The settings that some schedulers take and others do not."""


def sampler_controls(prefix: str, scheduler: str) -> dict[str, Any]:
    """The settings that this scheduler takes, and their values; the others are named."""
    values: dict[str, Any] = {}
    without: list[str] = []
    for name in SAMPLER:
        row = SETTINGS[name]
        offered = offered_by(row, scheduler, values)
        if offered == (row.default,):
            without.append(row.label.lower())
            continue
        choices = {"choices": offered} if row.choices else {}
        values[name] = control(name, prefix, **choices)
        if said := row.unfit and row.unfit(GenerationSettings(scheduler=scheduler, **values)):
            st.caption(f":red[{plain(said)}]")
    if without:
        st.caption(f"{plain(scheduler)} has none of these: {', '.join(without)}.")
    return values


def offered_by(row: Setting, scheduler: str, beside: dict[str, Any]) -> tuple[Any, ...]:
    """The values of a setting that the scheduler takes, the default first; of a number it is
    enough that it takes one.
    """
    assert row.unfit is not None
    settings = GenerationSettings(scheduler=scheduler, **beside)
    others = row.choices or ((not row.default,) if row.kind is bool else _some(row))
    fitting = [one for one in others if not row.unfit(replace(settings, **{row.name: one}))]
    return (row.default, *(one for one in fitting if one != row.default))


def _some(row: Setting) -> tuple[Any, ...]:
    """Whole numbers and the ends of a setting's bounds, as its kind has them."""
    assert row.bounds is not None
    low, high = row.bounds
    return tuple(row.kind(one) for one in (low, 1, high))
