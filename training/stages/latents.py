"""Stage latents: every training picture goes through the frozen encoder once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from training.loop.loop import Options, wait_while
from training.loop.networks import text_encoder_of
from training.loop.sharing import SharedCores
from training.stages.autoencoder import Whitening, to_tensor

PART = 500  # pictures that are encoded and saved at a time


@torch.no_grad()
def encode(
    vae: AutoencoderKL, pictures: np.ndarray, options: Options, batch: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) uint8 -> the posterior's mean (N, 4, H/8, W/8) float32, and variance (4,)."""
    means: list[np.ndarray] = []
    variances: list[np.ndarray] = []
    cores = SharedCores(options.share_cores)
    for start in range(0, len(pictures), batch):
        wait_while(options.pause_file)
        cores.adapt()
        pixels = to_tensor(pictures[start : start + batch]).to(options.device)
        with options.autocast():
            posterior = vae.encode(pixels).latent_dist
        means.append(posterior.mode().float().cpu().numpy())
        variances.append(posterior.var.float().mean((0, 2, 3)).cpu().numpy())
    return np.concatenate(means), np.mean(variances, axis=0)


def encode_all(vae: AutoencoderKL, pictures: np.ndarray, options: Options, path: Path) -> None:
    """The scaled latents of all pictures to `path`, saved part by part, from where it ends."""
    done = [np.load(path)] if path.exists() else []
    for start in range(sum(map(len, done)), len(pictures), PART):
        mean, _ = encode(vae, pictures[start : start + PART], options)
        done.append((mean * vae.config["scaling_factor"]).astype(np.float16))
        part = path.with_suffix(".part.npy")
        np.save(part, np.concatenate(done))
        part.replace(path)
        print(f"latents {start + len(mean)} of {len(pictures)}", flush=True)


def measure(raw: np.ndarray, variance: np.ndarray) -> Whitening:
    """`raw` (N, 4, h, w). The inverse square root of the covariance stays nearest to the raw.

    A direction with less than a quarter of the largest deviation carries next to nothing and is
    not blown up to unit variance.
    """
    flat = raw.transpose(1, 0, 2, 3).reshape(4, -1).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(flat))
    print(f"latents: standard deviations of the principal parts {np.sqrt(values).round(3)}")
    values = np.maximum(values, values.max() / 16)
    return Whitening(
        mean=flat.mean(1).tolist(),
        matrix=(vectors @ np.diag(values**-0.5) @ vectors.T).tolist(),
        variance=variance.tolist(),
    )


def fit_preview(
    latents: np.ndarray, pictures: np.ndarray
) -> dict[str, list[list[float]] | list[float]]:
    """Least squares from scaled latents (N, 4, h, w) to RGB in -1..1 of 1/8 the size."""
    count, channels, height, width = latents.shape
    cells = np.asarray(pictures[:count]).reshape(count, height, 8, width, 8, 3).mean((2, 4))
    colors = cells.reshape(-1, 3) / 127.5 - 1
    inputs = latents.transpose(0, 2, 3, 1).reshape(-1, channels)
    inputs = np.concatenate([inputs, np.ones_like(inputs[:, :1])], 1)
    solution = np.linalg.lstsq(inputs.astype(np.float64), colors, rcond=None)[0]
    return {"weight": solution[:4].round(5).tolist(), "bias": solution[4].round(5).tolist()}


class Embedder:
    """Captions -> (B, 77, hidden), padded to 77 exactly as StableDiffusionPipeline does.

    Captions hardly ever repeat, so they are embedded when they are drawn: a tenth of a UNet step.
    """

    def __init__(self, tokenizer: CLIPTokenizer, clip: CLIPModel, options: Options) -> None:
        self.tokenizer = tokenizer
        self.encoder = text_encoder_of(clip).to(options.device)
        self.options = options

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        ids: Tensor = self.tokenizer(
            texts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        with self.options.autocast():
            return self.encoder(ids.to(self.options.device)).last_hidden_state.float()
