"""Tensors as pictures: channel by channel, and as the colours they stand for."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.diffusion.inside.anatomy import Run
from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import ModelInfo
from core.output.figures.latent_pictures import enlarged_png
from core.output.figures.tiles import channel_tiles, png

TILES = 136  # pixels of a tensor's picture
UNIT = 3.0  # the colours' ends for what has unit variance


def show_tensor(title: str, values: np.ndarray, limit: float) -> None:
    """Each channel of (C, h, w), blue at -limit, red at +limit."""
    with st.container(width=TILES, gap="xsmall"):
        st.caption(title)
        st.image(channel_tiles(values, limit, TILES), output_format="PNG", alt=title)


def show_preview(title: str, latents: np.ndarray, info: ModelInfo) -> None:
    """Latents (C, h, w) at unit variance in the colours that the model would roughly give them."""
    with st.container(width=TILES, gap="xsmall"):
        st.caption(title)
        st.image(enlarged_png(preview_rgb(latents, info), TILES), width=TILES, alt=title)


def show_x0(run: Run, call: int, info: ModelInfo) -> None:
    """The predicted x0 of a call as the decoder makes it a picture; in rough colours where it was
    not decoded.
    """
    if not run.x0_pictures:
        show_preview("Predicted x0", run.x0[call], info)
        return
    title = "Predicted x0, decoded"
    with st.container(width=TILES, gap="xsmall"):
        st.caption(title)
        st.image(png(run.x0_pictures[call]), width=TILES, output_format="PNG", alt=title)


def limit_of(values: np.ndarray) -> float:
    """The colours' ends that all but one in 200 entries keep within."""
    return float(np.quantile(np.abs(values), 0.995))
