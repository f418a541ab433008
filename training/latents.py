"""Stage latents: every training picture goes through the frozen encoder once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from training.autoencoder import Whitening, to_tensor
from training.loop import Options
from training.networks import text_encoder_of
from training.sharing import SharedCores


@torch.no_grad()
def encode(
    vae: AutoencoderKL, pictures: np.ndarray, options: Options, batch: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) uint8 -> the posterior's mean (N, 4, H/8, W/8) float32, and variance (4,)."""
    means: list[np.ndarray] = []
    variances: list[np.ndarray] = []
    cores = SharedCores(options.share_cores)
    for start in range(0, len(pictures), batch):
        cores.adapt()
        pixels = to_tensor(pictures[start : start + batch]).to(options.device)
        with options.autocast():
            posterior = vae.encode(pixels).latent_dist
        means.append(posterior.mode().float().cpu().numpy())
        variances.append(posterior.var.float().mean((0, 2, 3)).cpu().numpy())
        if start % 3200 == 0:
            print(f"latents {start} of {len(pictures)}", flush=True)
    return np.concatenate(means), np.mean(variances, axis=0)


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


def whiten(raw: np.ndarray, whitening: Whitening) -> np.ndarray:
    centred = raw - np.reshape(whitening.mean, (4, 1, 1))
    return np.einsum("ij,njhw->nihw", whitening.matrix, centred)


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


@torch.no_grad()
def embed(
    clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str], options: Options, path: Path
) -> np.ndarray:
    """(N, 77, hidden) float16, padded to 77 exactly as StableDiffusionPipeline does."""
    encoder = text_encoder_of(clip).to(options.device)
    part = path.with_suffix(".part.npy")
    shape = (len(texts), tokenizer.model_max_length, clip.config.text_config.hidden_size)
    embeddings = np.lib.format.open_memmap(part, "w+", np.float16, shape)
    cores = SharedCores(options.share_cores)
    for start in range(0, len(texts), 128):
        cores.adapt()
        ids: Tensor = tokenizer(
            texts[start : start + 128], padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        with options.autocast():
            hidden = encoder(ids.to(options.device)).last_hidden_state
        embeddings[start : start + 128] = hidden.half().cpu().numpy()
    embeddings.flush()
    part.replace(path)
    return np.load(path, mmap_mode="r")
