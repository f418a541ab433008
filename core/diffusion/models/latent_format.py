"""The latent space of a family: its channels, its scale, and how it looks without the VAE.

Reading the table imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LatentFormat:
    """How latents at unit variance stand to the VAE's own, and to colours.

    The VAE's own are latents / `scaling_factor` + `shift_factor`: what its encoder gives and its
    decoder takes (diffusers' names; a shift is SD3's and Flux's). `preview_weight` (C x 3) and
    `preview_bias` (3) turn latents at unit variance into RGB in [-1, 1].
    """

    channels: int
    scaling_factor: float
    shift_factor: float = 0.0
    preview_weight: tuple[tuple[float, ...], ...]
    preview_bias: tuple[float, ...] = (0.0, 0.0, 0.0)

    def to_vae(self, latents: Any) -> Any:
        """Give the VAE's own latents of those at unit variance: arrays or tensors (B, C, h, w)."""
        own = latents / self.scaling_factor
        return own + self.shift_factor if self.shift_factor else own

    def from_vae(self, own: Any) -> Any:
        """Give latents at unit variance of the VAE's own: arrays or tensors (B, C, h, w)."""
        shifted = own - self.shift_factor if self.shift_factor else own
        return self.scaling_factor * shifted


# The previews are least-squares fits of RGB on scaled latents, as ComfyUI's and InvokeAI's use.
# Source: "Decoding Stable Diffusion latents without the VAE", Keturn, Hugging Face forum, 2022.
SD_LATENTS = LatentFormat(
    channels=4,
    scaling_factor=0.18215,
    preview_weight=(
        (0.298, 0.207, 0.208),
        (0.187, 0.286, 0.173),
        (-0.158, 0.189, 0.264),
        (-0.184, -0.271, -0.473),
    ),
)
SDXL_LATENTS = LatentFormat(
    channels=4,
    scaling_factor=0.13025,
    preview_weight=(
        (0.3920, 0.4054, 0.4549),
        (-0.2634, -0.0196, 0.0653),
        (0.0568, 0.1687, -0.0755),
        (-0.3112, -0.2359, -0.2076),
    ),
)
