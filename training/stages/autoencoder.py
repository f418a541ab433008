"""The losses of the autoencoder: stage `vae` trains both halves, `decoder` its second half."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.loop.loop import Options

WHITENING = "whitening.json"


def to_tensor(pictures: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 in -1..1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def random_crops(
    pictures: np.ndarray, count: int, side: int, rng: np.random.Generator
) -> np.ndarray:
    """(count, side, side, 3) uint8, mirrored at random.

    Corners are drawn around the middle, where the object is: flat background teaches little.
    """
    room = pictures.shape[1] - side
    corners = np.clip(np.rint(rng.normal(room / 2, room / 2.6, (count, 2))), 0, room).astype(int)
    crops = [
        pictures[index, top : top + side, left : left + side]
        for index, (top, left) in zip(rng.integers(len(pictures), size=count), corners, strict=True)
    ]
    return np.stack([c[:, ::-1] if rng.random() < 0.5 else c for c in crops])


def reconstruction_loss(
    made: Tensor, real: Tensor, recipe: dict[str, Any], progress: float
) -> Tensor:
    """L1 + L2, and L1 of the gradients, which keeps edges; given at once it collapses."""
    error = made.float() - real
    ramp = min(1.0, max(0.0, progress * 10 - 1))
    loss = recipe["l1_weight"] * error.abs().mean() + recipe["l2_weight"] * error.square().mean()
    if ramp > 0:
        down = (error[:, :, 1:] - error[:, :, :-1]).abs().mean()
        across = (error[:, :, :, 1:] - error[:, :, :, :-1]).abs().mean()
        loss = loss + recipe["gradient_weight"] * ramp * (down + across)
    return loss


def vae_loss(
    vae: AutoencoderKL, pictures: np.ndarray, recipe: dict[str, Any], options: Options
) -> Callable[[float], Tensor]:
    """The KL term is summed over an image's latents, as in latent-diffusion."""
    rng = np.random.default_rng()

    def loss_of(progress: float) -> Tensor:
        crops = random_crops(pictures, recipe["batch"], recipe["crop"], rng)
        real = to_tensor(crops).to(options.device)
        with options.autocast():
            posterior = vae.encode(real).latent_dist
            made = vae.decode(posterior.sample()).sample
        kl = posterior.kl().mean()
        return reconstruction_loss(made, real, recipe, progress) + recipe["kl_weight"] * kl

    return loss_of


@dataclass(frozen=True, kw_only=True)
class Whitening:
    """scaled = matrix @ (raw - mean) has mean 0 and covariance 1 over the training pictures."""

    mean: list[float]  # (4,)
    matrix: list[list[float]]  # (4, 4), symmetric
    variance: list[float]  # (4,) of the posterior around its mean, in raw units

    @classmethod
    def read(cls, path: Path) -> Whitening:
        return cls(**json.loads(path.read_text()))


@torch.no_grad()
def fold(vae: AutoencoderKL, whitening: Whitening) -> None:
    """Whiten the latents inside the two 1 x 1 convolutions; decoding is unchanged.

    Channels come out of training with stds that differ fourfold and strongly correlated: most of
    the picture would hide in small differences between them, which noise destroys first. After
    this, times scaling_factor, they are white. The log-variance becomes a constant, its average.
    """
    target = 1 / vae.config["scaling_factor"]
    matrix = torch.tensor(whitening.matrix, device=vae.device) * target
    mean = torch.tensor(whitening.mean, device=vae.device)
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.weight[:4, :, 0, 0] = matrix @ quant.weight[:4, :, 0, 0]
    quant.bias[:4] = matrix @ (quant.bias[:4] - mean)
    quant.weight[4:] = 0
    variance = matrix.square() @ torch.tensor(whitening.variance, device=vae.device)
    quant.bias[4:] = variance.log()
    kernel = post.weight[:, :, 0, 0].clone()  # (4 out, 4 in)
    post.weight[:, :, 0, 0] = kernel @ matrix.inverse()
    post.bias += kernel @ mean


def freeze_encoder(vae: AutoencoderKL) -> None:
    """Only the decoder learns from here on: the latents, and so the UNet, stay valid."""
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
