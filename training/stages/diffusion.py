"""Stage unet: predict what the objective asks for, epsilon today, in scaled latents."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor

from training.data.captions import random_caption
from training.data.scenes import Scene
from training.loop.loop import Options


class Example(NamedTuple):
    """What the UNet is shown and asked, (B, 4, h, w), and what its error counts, (B,)."""

    noisy: Tensor
    target: Tensor
    weight: Tensor


Objective = Callable[[Tensor, Tensor, Tensor], Example]  # clean, noise, timesteps


def epsilon(scheduler: DDIMScheduler, recipe: dict[str, Any]) -> Objective:
    """The noise itself, weighted by clamped SNR."""
    weights = snr_weight(scheduler, recipe["snr_floor"], recipe["snr_gamma"])

    def example(clean: Tensor, noise: Tensor, timesteps: Tensor) -> Example:
        noisy = scheduler.add_noise(clean, noise, timesteps)
        return Example(noisy, noise, weights.to(clean.device)[timesteps])

    return example


OBJECTIVES = {"epsilon": epsilon}  # recipe's unet.objective -> what is learned


def snr_weight(scheduler: DDIMScheduler, floor: float, gamma: float) -> Tensor:
    """(1000,) what the noise's squared error counts at each timestep: clamp(SNR) / SNR.

    `gamma` is min-SNR's. `floor` lifts the noisiest steps, where the whole layout is decided: an
    error there is small as noise and, divided by the SNR, as large as the picture itself.
    """
    abar = scheduler.alphas_cumprod
    snr = abar / (1 - abar)
    return snr.clamp(floor, gamma) / snr


def unet_loss(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    latents: np.ndarray,
    scenes: list[Scene],
    embed: Callable[[list[str]], Tensor],
    recipe: dict[str, Any],
    options: Options,
) -> Callable[[float], Tensor]:
    """`latents` (N, 4, 16, 16) scaled, row i of scenes[i]; `embed` gives (B, 77, hidden).

    SD's betas leave a picture's mean visible in the noisiest latents, and on 256 places it is
    plain: a model that trusts it paints the background its seed happens to have. The noise offset
    makes the mean unreliable there, so that the prompt decides.
    """
    rng = random.Random()
    objective = OBJECTIVES[recipe["objective"]](scheduler, recipe)
    batch = recipe["batch"]

    def loss_of(progress: float) -> Tensor:
        rows = [rng.randrange(len(scenes)) for _ in range(batch)]
        condition = embed(
            [random_caption(rng, scenes[row], plain=options.plain).text for row in rows]
        )
        clean = torch.from_numpy(latents[rows]).float().to(options.device)
        offset = torch.randn(batch, clean.shape[1], 1, 1, device=clean.device)
        noise = torch.randn_like(clean) + recipe["noise_offset"] * offset
        spread = (torch.arange(batch) + torch.rand(batch)) / batch  # one in each slice
        timesteps = (1000 * spread ** recipe["noisier"]).long().clamp(max=999).to(options.device)
        noisy, target, weight = objective(clean, noise, timesteps)
        with options.autocast():
            predicted = unet(noisy, timesteps, encoder_hidden_states=condition).sample
        error = (predicted.float() - target).square().mean((1, 2, 3))
        return (weight * error).mean()

    return loss_of
