"""The VAE with all it takes: room in memory, finite numbers in half precision, every core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from core.diffusion.models.loaded import LoadedModel
from core.diffusion.sampling.compute.memory import is_out_of_memory, with_room
from core.diffusion.sampling.compute.threads import one_thread_each

TILE_ABOVE = 2048 * 2048
"""Pixels above which the VAE works in tiles: whole, diffusers' would need tens of gigabytes."""

MOST_PIXELS = 8 * 512 * 512
"""Decoded together at most: more takes the memory that the batch needs, and is no faster."""


@torch.no_grad()
def decode(model: LoadedModel, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents (B, C, h, w) -> RGB (B, 3, H, W), about -1 to 1, as the family's pipeline
    decodes them.

    Where half precision overflows it is done once more in float32: SD's decoders reach values that
    float16 does not hold. What even that leaves infinite or NaN is the caller's to see. Out of
    memory it is tried once more, then in tiles, whose seams are blended; the last error is raised.
    """
    vae: Any = model.vae
    latents = latents.to(model.dtype)
    pixels = _decoded(model, latents)
    if torch.isfinite(pixels).all() or (kind := vae.dtype) == torch.float32:
        return pixels
    try:
        _cast(vae, torch.float32)
        return _decoded(model, latents)
    finally:
        _cast(vae, kind)


def decode_each(
    model: LoadedModel, latents: Sequence[torch.Tensor]
) -> list[torch.Tensor | RuntimeError]:
    """`decode` of each (1, C, h, w) of one shape: on a CPU a core takes one at a time, elsewhere
    as many as MOST_PIXELS go together. In the place of one that finds no room stands its error.
    """
    cores = torch.get_num_threads() if model.device.type == "cpu" else 1
    if cores > 1 and len(latents) > 1 and model.vae.dtype == torch.float32:
        return one_thread_each(cores).map(lambda one: _decode_one(model, one), latents)
    height, width = latents[0].shape[2:] if latents else (1, 1)
    pixels = height * width * model.info.vae_scale_factor**2
    size = max(MOST_PIXELS // pixels, 1) if model.device.type != "cpu" else 1
    found: list[torch.Tensor | RuntimeError] = []
    for start in range(0, len(latents), size):
        found += _decode_together(model, latents[start : start + size])
    return found


@torch.no_grad()
def encode(model: LoadedModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """RGB (B, 3, H, W) in -1 to 1 -> mean and std of the posterior, (B, C, h, w) each; a tiny
    autoencoder gives latents without a distribution: None for the std.

    Out of memory it is tried once more, then in tiles; the last error is raised.
    """
    vae: Any = model.vae

    def whole() -> Any:
        # Rounded to the UNet's precision first: diffusers' pipelines cast the picture so.
        return vae.encode(pixels.to(model.device, model.dtype).to(vae.dtype))

    found = _with_tiles(model, whole, pixels.shape[2] * pixels.shape[3])
    if not hasattr(found, "latent_dist"):
        return found.latents, None
    return found.latent_dist.mean, found.latent_dist.std


def _decode_together(
    model: LoadedModel, some: Sequence[torch.Tensor]
) -> list[torch.Tensor | RuntimeError]:
    """What one picture needs, more memory or float32, is not the others' trouble."""
    if len(some) > 1:
        together = _decode_one(model, torch.cat(list(some)))
        if isinstance(together, torch.Tensor) and torch.isfinite(together).all():
            return list(together.split(1))
    return [_decode_one(model, one) for one in some]


def _decode_one(model: LoadedModel, latents: torch.Tensor) -> torch.Tensor | RuntimeError:
    try:
        return decode(model, latents)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return RuntimeError(str(error))  # without its traceback, which holds the tensors


def _decoded(model: LoadedModel, latents: torch.Tensor) -> torch.Tensor:
    vae: Any = model.vae
    scaled = model.info.latent_format.to_vae(latents.to(vae.dtype))
    sides = [side * model.info.vae_scale_factor for side in scaled.shape[2:]]
    return _with_tiles(model, lambda: vae.decode(scaled, return_dict=False)[0], sides[0] * sides[1])


def _with_tiles(model: LoadedModel, whole: Callable[[], Any], pixels: int) -> Any:
    def tiled() -> Any:
        model.vae.enable_tiling()
        try:
            return whole()
        finally:
            model.vae.disable_tiling()

    if pixels > TILE_ABOVE:
        return tiled()
    return with_room(model.device, whole, tiled)


def _cast(vae: Any, dtype: torch.dtype) -> None:
    # Module.to itself: diffusers' own warns of the dtype whether or not it matters.
    torch.nn.Module.to(vae, dtype)
