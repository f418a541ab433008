"""Small VAEs of the bundled model's latents, made without a download."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file

from core.diffusion.models.load import BUNDLED_FOLDER

WEIGHTS = "diffusion_pytorch_model.safetensors"
OWN = BUNDLED_FOLDER / "vae"


def other_weights(seed: int) -> dict[str, torch.Tensor]:
    """The bundled VAE's tensors, each weight moved at random by a tenth of its deviation."""
    made = torch.Generator().manual_seed(seed)
    return {
        name: one + 0.1 * one.std().nan_to_num() * torch.randn(one.shape, generator=made)
        for name, one in load_file(OWN / WEIGHTS).items()
    }


def kl_file(root: Path, name: str = "soft", seed: int = 1) -> Path:
    """A single file, `name`.safetensors, by the names of diffusers."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / f"{name}.safetensors"
    save_file(other_weights(seed), file)
    return file


def kl_folder(root: Path, name: str = "hard", seed: int = 2, **changes: Any) -> Path:
    """A folder in diffusers layout; `changes` are to its configuration, with random weights."""
    folder = root / name
    if not changes:
        folder.mkdir(parents=True)
        shutil.copy(OWN / "config.json", folder)
        save_file(other_weights(seed), folder / WEIGHTS)
        return folder
    config = AutoencoderKL.load_config(OWN)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        part: Any = AutoencoderKL.from_config({**config, **changes})
    part.save_pretrained(folder)
    return folder


def tiny(channels: int = 4, levels: int = 4, width: int = 8, seed: int = 3) -> Any:
    """A tiny autoencoder with random weights, narrower than TAESD."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoencoderTiny(
            latent_channels=channels,
            encoder_block_out_channels=(width,) * levels,
            decoder_block_out_channels=(width,) * levels,
            num_encoder_blocks=(1,) * levels,
            num_decoder_blocks=(1,) * levels,
        )


def tiny_folder(root: Path, name: str = "small", **options: Any) -> Path:
    folder = root / name
    tiny(**options).save_pretrained(folder)
    return folder


def original_names(tensors: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """The names of the original code for those of diffusers, of a VAE without attention.

    Source: CompVis/latent-diffusion, ldm/modules/diffusionmodules/model.py; its decoder counts
    its levels from the outside, diffusers from the inside.
    """
    found: dict[str, torch.Tensor] = {}
    for name, one in tensors.items():
        words = name.split(".")
        if words[1] == "down_blocks":
            level, rest = int(words[2]), words[3:]
        elif words[1] == "up_blocks":
            level, rest = 3 - int(words[2]), words[3:]
        elif words[1] == "mid_block":
            level, rest = -1, words[2:]
        else:
            ends = {"conv_norm_out": "norm_out"}
            found[prefix + ".".join(ends.get(word, word) for word in words)] = one
            continue
        inner = {"conv_shortcut": "nin_shortcut"}
        if rest[0] == "resnets":
            tail = [inner.get(word, word) for word in rest[2:]]
            place = ["block", rest[1]] if level >= 0 else [f"block_{int(rest[1]) + 1}"]
        else:
            place, tail = (
                [{"downsamplers": "downsample", "upsamplers": "upsample"}[rest[0]]],
                rest[2:],
            )
        middle = ["mid"] if level < 0 else [words[1].removesuffix("_blocks"), str(level)]
        found[prefix + ".".join([words[0], *middle, *place, *tail])] = one
    return found
