"""The settings of the noise and of a second prompt, for every page that has all settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.diffusion.recipe.variations import METHODS
from core.diffusion.settings import MAX_SEED

MOST_CHANNELS = 16
BOUND: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}


def noise_controls(prefix: str) -> dict[str, Any]:
    """How the seed's noise varies: the field names of the settings and their values."""
    left, right = st.columns(2, gap="small")
    seed = left.number_input(
        "Variation seed", 0, MAX_SEED, 0, key=f"{prefix}_variation_seed", **BOUND
    )
    strength = right.number_input(
        "Variation strength",
        0.0,
        1.0,
        0.0,
        0.05,
        key=f"{prefix}_variation_strength",
        help="0 is the seed's own noise, 1 is the variation seed's.",
        **BOUND,
    )
    method = st.selectbox(
        "Variation method",
        list(METHODS),
        key=f"{prefix}_variation_method",
        format_func=lambda name: METHODS[name].label,
        help="The Variations page shows what each does.",
        **BOUND,
    )
    left, right = st.columns(2, gap="small")
    region = left.text_input(
        "Variation region",
        key=f"{prefix}_variation_region",
        placeholder="32,32,96,96",
        help="Left, top, right, bottom in pixels. Slerp in a region reads it.",
        **BOUND,
    )
    channel = right.number_input(
        "Variation channel",
        0,
        MOST_CHANNELS - 1,
        0,
        key=f"{prefix}_variation_channel",
        help="Slerp in one channel reads it; the first is 0.",
        **BOUND,
    )
    chain = st.text_input(
        "Earlier variations",
        key=f"{prefix}_variation_chain",
        placeholder="slerp:7:0.2",
        help="What was done to the noise before, one after another: method:seed:strength. The "
        "Variations page writes it.",
        **BOUND,
    )
    return {
        "variation_seed": int(seed),
        "variation_strength": float(strength),
        "variation_method": method,
        "variation_region": (region or "").strip(),
        "variation_channel": int(channel),
        "variation_chain": " ".join((chain or "").split()),
    }


def second_prompt_controls(prefix: str) -> dict[str, Any]:
    """A second prompt and how far the picture goes towards it."""
    left, right = st.columns([0.6, 0.4], gap="small")
    prompt = left.text_input(
        "Second prompt",
        key=f"{prefix}_prompt_2",
        help="The blend goes from the prompt to this one, in a straight line between what the "
        "text encoder says of them.",
        **BOUND,
    )
    blend = right.number_input("Blend", 0.0, 1.0, 0.0, 0.05, key=f"{prefix}_prompt_blend", **BOUND)
    return {"prompt_2": prompt or "", "prompt_blend": float(blend)}
