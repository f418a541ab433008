"""Latents as a picture without the VAE: a linear map, good enough to watch by. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from core.diffusion.models.load import ModelInfo

# Least-squares fits of RGB on SD's scaled latents, as ComfyUI's and InvokeAI's previews use.
# Source: "Decoding Stable Diffusion latents without the VAE", Keturn, Hugging Face forum, 2022.
SD1_PREVIEW_WEIGHT = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)
SDXL_PREVIEW_WEIGHT = (
    (0.3920, 0.4054, 0.4549),
    (-0.2634, -0.0196, 0.0653),
    (0.0568, 0.1687, -0.0755),
    (-0.3112, -0.2359, -0.2076),
)


def preview_rgb(latents: np.ndarray, info: ModelInfo) -> np.ndarray:
    """A picture of scaled latents (C, h, w) at latent size, uint8 (h, w, 3), without the VAE."""
    weight = np.asarray(info.preview_weight, dtype=np.float32)  # (C, 3)
    rgb = np.einsum("chw,cr->hwr", latents, weight) + np.asarray(info.preview_bias)
    return np.nan_to_num((rgb.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
