"""How guidance acts, beside its scale: the method with its own settings, and the interval."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from ui.settings.fields import control
from ui.views import plain

GUIDANCE = tuple(
    name for name, row in SETTINGS.items() if row.group == "guidance" and name != "guidance_scale"
)
_OF_METHODS = {name for method in METHODS.values() for name in method.settings}


def guidance_controls(model: ModelInfo, prefix: str, **known: Any) -> dict[str, Any]:
    """The settings of guidance and their values; of the methods' own those of the chosen one.
    `known` are settings that say what goes together. A model that guides itself has none of them.
    """
    if model.family.guidance == "embedded":
        st.caption("This model takes the guidance scale as an input: it has no more than that.")
        return {}
    method = METHODS[control("guidance_method", prefix)]
    st.caption(f"{plain(method.note)} {method.source}.")
    values: dict[str, Any] = {"guidance_method": method.name}
    values |= {name: control(name, prefix) for name in GUIDANCE if name in method.settings}
    left, right = st.columns(2, gap="small")
    values["guidance_start"] = control("guidance_start", prefix, left)
    values["guidance_end"] = control("guidance_end", prefix, right)
    rest = [name for name in GUIDANCE if name not in {*values, *_OF_METHODS}]
    values |= {name: control(name, prefix) for name in rest}
    settings = GenerationSettings(**known, **values)
    for name in values:
        row = SETTINGS[name]
        if row.unfit and (said := row.unfit(settings)):
            st.caption(f":red[{row.label}: {plain(said)}]")
    return values
