"""Models with the published architectures and random weights: how fast, not how good."""

from __future__ import annotations

import json
from typing import Any

import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel

from core.diffusion.models.families import FAMILIES
from core.diffusion.models.files.single_file import CONFIGS
from core.diffusion.models.files.tokenizers import read_tokenizer
from core.diffusion.models.load import LoadedModel, ModelInfo

NARROW = 32
"""Width of a scaled-down model; its depth, blocks and places of attention are the real ones."""


def _config(folder: str, part: str, name: str = "config.json") -> dict[str, Any]:
    return json.loads((CONFIGS / folder / part / name).read_text(encoding="utf-8"))


def _narrow(part: str, config: dict[str, Any], is_xl: bool) -> dict[str, Any]:
    if part == "vae":
        return config | {"block_out_channels": [NARROW] * 4, "layers_per_block": 1}
    if part != "unet":
        width = 2 * NARROW if part == "text_encoder_2" else NARROW
        small = {"hidden_size": width, "intermediate_size": 2 * width, "projection_dim": width}
        return config | small | {"num_attention_heads": 4, "num_hidden_layers": 3}
    levels = len(config["block_out_channels"])
    small = {
        "block_out_channels": [NARROW, *[2 * NARROW] * (levels - 1)],
        "cross_attention_dim": NARROW,
        "attention_head_dim": [2, 4, 4, 4][:levels],
    }
    if is_xl:
        small |= {
            "cross_attention_dim": 3 * NARROW,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 2 * NARROW,
            "transformer_layers_per_block": [1, 1, 2],
        }
    return config | small


def random_model(
    family_name: str, *, side: int, device: str, dtype: torch.dtype, narrow: bool
) -> LoadedModel:
    """The family's model for pictures of `side` x `side`, weights always the same."""
    family = FAMILIES[family_name]
    classes: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
    classes |= {row.encoder: getattr(transformers, row.class_name) for row in family.text_encoders}
    parts: dict[str, Any] = {
        row.tokenizer: read_tokenizer(CONFIGS / family.configs, row.tokenizer)
        for row in family.text_encoders
    }
    torch.manual_seed(0)
    for part, cls in classes.items():
        config = _config(family.configs, part)
        if narrow:
            config = _narrow(part, config, family.base == "SDXL")
        with torch.device(device):
            if part in ("unet", "vae"):
                built = cls.from_config(config)
            else:
                built = cls(transformers.CLIPTextConfig(**config))
        # Module.to itself: diffusers' own warns of the dtype whether or not it matters.
        parts[part] = torch.nn.Module.to(built, device, dtype).eval()
        if device == "cuda" and part in ("unet", "vae"):
            parts[part].to(memory_format=torch.channels_last)
    info = ModelInfo(
        source=f"random {family_name}",
        name=f"random {family_name}",
        folder=CONFIGS / family.configs,
        fingerprint="0" * 64,
        default_width=side,
        default_height=side,
        default_guidance_scale=family.default_guidance_scale,
        default_num_inference_steps=family.default_num_inference_steps,
        default_scheduler=family.default_scheduler,
        example_prompts=(),
        vae_scale_factor=8,
        latent_format=family.latent_format,
        scheduler_config=_config(family.configs, "scheduler", "scheduler_config.json"),
        family_name=family_name,
    )
    return LoadedModel(info=info, device=torch.device(device), dtype=dtype, **parts)
