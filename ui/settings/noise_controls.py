"""The settings of the noise and of a second prompt, for every page that has all settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.settings.fields import control


def noise_controls(prefix: str) -> dict[str, Any]:
    """How the seed's noise varies: the field names of the settings and their values."""
    left, right = st.columns(2, gap="small")
    found = {
        "variation_seed": control("variation_seed", prefix, left),
        "variation_strength": control("variation_strength", prefix, right),
        "variation_method": control("variation_method", prefix),
    }
    left, right = st.columns(2, gap="small")
    region = control("variation_region", prefix, left, placeholder="32,32,96,96")
    channel = control("variation_channel", prefix, right)
    chain = control("variation_chain", prefix, placeholder="slerp:7:0.2")
    return {
        **found,
        "variation_region": region.strip(),
        "variation_channel": channel,
        "variation_chain": " ".join(chain.split()),
    }


def second_prompt_controls(prefix: str) -> dict[str, Any]:
    """A second prompt and how far the picture goes towards it."""
    left, right = st.columns([0.6, 0.4], gap="small")
    return {
        "prompt_2": control("prompt_2", prefix, left),
        "prompt_blend": control("prompt_blend", prefix, right),
    }
