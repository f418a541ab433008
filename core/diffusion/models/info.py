"""ModelInfo: what can be said of a model without loading its weights. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.diffusion.models.families import FAMILIES, Family
from core.diffusion.models.latent_format import LatentFormat
from core.diffusion.models.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What can be said of a model without loading its weights.

    `fingerprint` is the SHA-256 (hex) over every part's configuration and weights: two folders
    with the same content are the same model, under whatever name. A single file's is that of the
    file. Of a single `file` the `folder` holds the configurations it is read with. `revision` is
    the commit of a model from the hub. A small model may list its `vocabulary`.
    """

    source: str
    name: str
    folder: Path
    fingerprint: str
    default_width: int
    default_height: int
    default_guidance_scale: float
    default_num_inference_steps: int
    default_scheduler: str
    example_prompts: tuple[str, ...]
    vae_scale_factor: int
    latent_format: LatentFormat
    scheduler_config: dict[str, Any]
    family_name: str = "SD 1.x"
    file: Path | None = None
    revision: str = ""
    zeroes_empty_negative: bool = False
    vocabulary: Vocabulary | None = None

    @property
    def family(self) -> Family:
        return FAMILIES[self.family_name]

    @property
    def latent_channels(self) -> int:
        return self.latent_format.channels


def preview_rgb(latents: np.ndarray, info: ModelInfo) -> np.ndarray:
    """Draw scaled latents (C, h, w) at latent size, uint8 (h, w, 3), by a linear map: without the
    VAE, and good enough to watch by.
    """
    form = info.latent_format
    weight = np.asarray(form.preview_weight, dtype=np.float32)  # (C, 3)
    rgb = np.einsum("chw,cr->hwr", latents, weight) + np.asarray(form.preview_bias)
    return np.nan_to_num((rgb.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
