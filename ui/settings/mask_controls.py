"""The settings of a mask as controls, for every page whose settings may have one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.settings.fields import control


def mask_controls(prefix: str) -> dict[str, Any]:
    """What becomes of the mask: the field names of the settings and their values."""
    left, right = st.columns(2, gap="small")
    values = {
        "mask_grow": control("mask_grow", prefix, left),
        "mask_blur": control("mask_blur", prefix, right),
        "mask_mode": control("mask_mode", prefix),
        "masked_only": control("masked_only", prefix),
    }
    is_off = not values["masked_only"]
    return values | {"masked_padding": control("masked_padding", prefix, disabled=is_off)}
