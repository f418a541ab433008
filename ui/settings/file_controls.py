"""Controls of the files that change a model: LoRAs and a VAE, where there are any."""

from __future__ import annotations

import streamlit as st

from core.diffusion.models.lora.files import list_loras
from core.diffusion.models.vae.files import list_vaes
from core.diffusion.recipe.settings_table import SETTINGS
from ui.help import help_of
from ui.links import BOUND
from ui.views import plain


def lora_box(prefix: str) -> str:
    """The LoRAs, where there are any or the settings name one."""
    key, known = f"{prefix}_loras", list_loras()
    if not known and not st.session_state.get(key):
        return ""
    here = ", ".join(known) or "none"
    text = st.text_input(
        SETTINGS["loras"].label,
        key=key,
        placeholder=f"{known[0]}:0.8" if known else None,
        help=help_of(
            SETTINGS["loras"], f"LoRA files with their weights. Available: {plain(here)}."
        ),
        **BOUND,
    )
    return text or ""


def vae_box(prefix: str) -> str:
    """The VAEs, where there are any or the settings name one; one that is not here stays chosen,
    which is said.
    """
    row, key, known = SETTINGS["vae"], f"{prefix}_vae", list_vaes()
    asked = str(st.session_state.get(key) or st.query_params.get(key, ""))
    if not known and not asked:
        return ""
    names = ["", *known]
    if asked not in names:
        names.append(asked)
    chosen = st.selectbox(
        row.label, names, key=key, format_func=row.shown, help=help_of(row), **BOUND
    )
    if chosen and chosen not in known:
        st.caption(f":red[{plain(chosen)} is not here: put it into a folder of LIGHTBOX_MODELS]")
    return chosen or ""
