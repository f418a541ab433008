"""Classifier-free guidance."""

from __future__ import annotations

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from core.diffusion.settings import GenerationSettings


def guide(uncond: torch.Tensor, cond: torch.Tensor, settings: GenerationSettings) -> torch.Tensor:
    """Apply classifier-free guidance to one cell, (1, C, h, w), then guidance_rescale if any.

    Sources: Ho and Salimans 2022, eq. 6 with guidance_scale = 1 + w; Lin et al. 2023, sec. 3.4.
    The scale stays a Python number: as a bf16 tensor it would be rounded before it multiplies.
    """
    guided = uncond + settings.guidance_scale * (cond - uncond)
    if settings.guidance_rescale > 0:
        guided = rescale_noise_cfg(guided, cond, guidance_rescale=settings.guidance_rescale)
    return guided
