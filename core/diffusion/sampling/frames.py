"""Recorded latents as frames: through the VAE, or by the linear preview. Imports torch late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.diffusion.models.info import preview_rgb
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.trajectory import Trajectory

if TYPE_CHECKING:
    from core.diffusion.models.info import ModelInfo
from core.diffusion.models.loaded import LoadedModel

PIECE_SECONDS = 0.12
"""How long one piece of decoding may take: the batch waits for it."""

Write = Callable[[int, np.ndarray], None]
"""Takes a frame by its number: uint8 (H, W, 3)."""


def vp_latents(trajectory: Trajectory, scheduler: str) -> np.ndarray:
    """x_t of each of the N calls as the UNet gets it, variance preserving: (N, C, h, w) float32.

    Its RMS is the record's `latent_rms`. ValueError where no tensors were recorded.
    """
    if trajectory.latents is None:
        raise ValueError("the trajectory holds no tensors")
    count = len(trajectory.records)
    sigma = np.array([record.sigma for record in trajectory.records], np.float32)
    return to_vp(trajectory.latents[:count], sigma.reshape(-1, 1, 1, 1), scheduler)


def to_vp(latents: np.ndarray, sigma: float | np.ndarray, scheduler: str) -> np.ndarray:
    """What a scheduler keeps at noise level `sigma`, as x_VP: those of sigma space keep
    x0 + sigma * eps, which is divided by sqrt(1 + sigma^2).
    """
    if SCHEDULERS[scheduler].sigma_space:
        return latents / (1 + sigma**2) ** 0.5
    return latents


def preview_frames(info: ModelInfo, latents: np.ndarray, write: Write) -> Iterator[tuple[int, int]]:
    """Write each of the latents (N, C, h, w) as its linear preview, (h, w, 3): no VAE.

    Yields (done, total).
    """
    for index, one in enumerate(latents):
        write(index, preview_rgb(one, info))
        yield index + 1, len(latents)


def decode_frames(
    model: LoadedModel, latents: np.ndarray, write: Write
) -> Iterator[tuple[int, int]]:
    """Write each of the scaled latents (N, C, h, w), decoded by the VAE, (8h, 8w, 3) for f = 8.

    Yields (done, total) after every piece. As many are decoded at once as fit into PIECE_SECONDS,
    which changes a pixel by rounding at most. Raises ModelError where not even one fits into the
    memory.
    """
    from core.diffusion.sampling.vae import MOST_PIXELS

    total, done, size = len(latents), 0, 1
    pixels = latents.shape[2] * latents.shape[3] * model.info.vae_scale_factor**2
    while done < total:
        began = time.perf_counter()
        for frame in decode(model, latents[done : done + size]):
            write(done, frame)
            done += 1
        yield done, total
        ratio = PIECE_SECONDS / max(time.perf_counter() - began, 1e-6)
        size = max(1, min(int(size * min(ratio, 2.0)), MOST_PIXELS // pixels))


def decode(model: LoadedModel, latents: np.ndarray) -> np.ndarray:
    """Scaled latents (B, C, h, w) -> uint8 (B, H, W, 3), rounded as diffusers' pipeline does.

    What is no number becomes black. Raises ModelError where there is no room.
    """
    import torch

    from core.diffusion.models.errors import ModelError
    from core.diffusion.sampling import vae as pixels
    from core.diffusion.sampling.compute.memory import is_out_of_memory

    found = None
    scaled = torch.from_numpy(np.ascontiguousarray(latents))
    try:
        found = pixels.decode(model, scaled.to(model.device))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if found is None:
        raise ModelError("Out of memory while decoding. Choose the preview instead of the VAE.")
    unit = (found * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu().numpy()
    return np.nan_to_num(unit * 255).round().astype(np.uint8)
