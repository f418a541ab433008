"""The settings of image-to-image as controls, and the source that a page's settings hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.diffusion.recipe.images import InputError
from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.runs.store.store import Store
from ui.help import help_of
from ui.links import BOUND
from ui.runtime import open_runtime
from ui.settings.fields import control
from ui.settings.mask_controls import mask_controls

HELD = ("init_image", "mask_image")
"""The settings that no control shows: the address and the session carry them."""

POSTERIORS = {
    "sample": "A seeded random draw: the VAE's encoder gives a mean and a standard deviation for "
    "each latent, and diffusers samples from them.",
    "mean": "Posterior mean: no random draw.",
}


def held_source(prefix: str) -> dict[str, str]:
    """The source and mask that the page of `prefix` was handed: session first, then address."""
    found: dict[str, str] = {}
    for field in HELD:
        name = f"{prefix}_{field}"
        value = st.session_state.get(name, st.query_params.get(name, ""))
        st.session_state[name] = found[field] = str(value)
        if value and st.query_params.get(name) != value:
            st.query_params[name] = str(value)
        elif not value and name in st.query_params:
            del st.query_params[name]
    return found


def hold_source(prefix: str, init_image: str = "", mask_image: str = "") -> None:
    """Set or forget what `held_source` gives."""
    for field, value in zip(HELD, (init_image, mask_image), strict=True):
        st.session_state[f"{prefix}_{field}"] = value


def strength_controls(prefix: str, *, has_posterior: bool) -> dict[str, Any]:
    """Strength and its two switches, each explained in a sentence; field -> value."""
    row = SETTINGS["strength"]
    strength = st.slider(
        row.label,
        0.0,
        1.0,
        float(row.default),
        row.step,
        key=f"{prefix}_strength",
        help=help_of(row),
        **BOUND,
    )
    switches: dict[str, bool] = {}
    for name in ("exact_steps", "match_noise"):
        switches[name] = control(name, prefix, help=None)
        st.caption(help_of(SETTINGS[name]))
    posterior = "latents"
    if has_posterior:
        chosen = st.segmented_control(
            SETTINGS["posterior"].label,
            list(POSTERIORS),
            default="sample",
            required=True,
            key=f"{prefix}_posterior",
            format_func=str.capitalize,
            help=help_of(SETTINGS["posterior"]),
            **BOUND,
        )
        posterior = chosen if chosen in POSTERIORS else "sample"
        st.caption(POSTERIORS[posterior])
    return {
        "strength": float(strength),
        **switches,
        "posterior": posterior,
    }


def source_form(prefix: str) -> dict[str, Any]:
    """Draw, on a page whose settings may have a source, the picture, its controls, and a way to do
    without it. {} where there is none; the size is the source's own.
    """
    held = held_source(prefix)
    if not held["init_image"]:
        return {}
    store = open_runtime().store
    with st.container(border=True, gap="small"):
        left, right = st.columns([0.4, 0.6], gap="small", vertical_alignment="center")
        try:
            source = store.inputs.read(held["init_image"])
        except InputError as error:
            st.caption(str(error))
            source = None
        with left:
            for field, alt in zip(HELD, map(label_of, HELD), strict=True):
                if (picture := stored_picture(store, held[field])) is not None:
                    st.image(picture, width="stretch", output_format="PNG", alt=alt)
        with right:
            st.caption("Image-to-image: every cell starts from this source.")
            st.button(
                "Without it",
                key=f"{prefix}:without_source",
                icon=":material/close:",
                on_click=hold_source,
                args=(prefix,),
            )
        is_latents = source is not None and source.ndim == 3 and source.dtype == np.float32
        values = strength_controls(prefix, has_posterior=not is_latents)
        if held["mask_image"]:
            values |= mask_controls(prefix)
    size: dict[str, int] = {}
    if source is not None and not is_latents:
        size = {"width": source.shape[1], "height": source.shape[0]}
    return held | values | size


def stored_picture(store: Store, digest: str) -> Image.Image | None:
    """A kept source or mask to look at; None where it is gone, or holds latents."""
    if not digest:
        return None
    try:
        source = store.inputs.read(digest)
    except InputError:
        return None
    return Image.fromarray(source) if source.dtype == np.uint8 else None
