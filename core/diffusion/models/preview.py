"""Latents as a picture without the VAE: a linear map, good enough to watch by. Imports no torch."""

from __future__ import annotations

import numpy as np

from core.diffusion.models.info import ModelInfo


def preview_rgb(latents: np.ndarray, info: ModelInfo) -> np.ndarray:
    """Draw scaled latents (C, h, w) at latent size, uint8 (h, w, 3), without the VAE."""
    form = info.latent_format
    weight = np.asarray(form.preview_weight, dtype=np.float32)  # (C, 3)
    rgb = np.einsum("chw,cr->hwr", latents, weight) + np.asarray(form.preview_bias)
    return np.nan_to_num((rgb.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
