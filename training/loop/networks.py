"""The model's parts, from the numbers of recipe.toml, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextModel,
    CLIPTokenizer,
)

Recipe = dict[str, Any]


def build_vae(recipe: Recipe) -> AutoencoderKL:
    """Factor 8, 4 latent channels: (B, 3, H, W) in -1..1 <-> (B, 4, H/8, W/8)."""
    vae = AutoencoderKL(
        block_out_channels=tuple(recipe["channels"]),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=recipe["layers_per_block"],
        latent_channels=4,
        norm_num_groups=recipe["norm_num_groups"],
        sample_size=128,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        vae.quant_conv.bias[4:] = recipe["logvar_bias"]
    return vae


def build_clip(recipe: Recipe, tokenizer: CLIPTokenizer) -> CLIPModel:
    """Text of 77 tokens and pictures of image_size pixels -> vectors of projection_dim."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": recipe["text_hidden"],
        "intermediate_size": recipe["text_hidden"] * 4,
        "num_hidden_layers": recipe["text_layers"],
        "num_attention_heads": 4,
        "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "projection_dim": recipe["projection_dim"],
    }
    vision = {
        "image_size": recipe["image_size"],
        "patch_size": recipe["patch_size"],
        "hidden_size": recipe["vision_hidden"],
        "intermediate_size": recipe["vision_hidden"] * 4,
        "num_hidden_layers": recipe["vision_layers"],
        "num_attention_heads": 4,
        "projection_dim": recipe["projection_dim"],
    }
    return CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=recipe["projection_dim"])
    )


def text_encoder_of(clip: CLIPModel) -> CLIPTextModel:
    """The CLIP's text tower with copies of its weights."""
    encoder = CLIPTextModel(clip.config.text_config)
    encoder.load_state_dict(clip.text_model.state_dict())
    return encoder.eval().requires_grad_(False)


def build_image_processor(recipe: Recipe) -> CLIPImageProcessorPil:
    """Any picture -> (B, 3, image_size, image_size) in -1..1."""
    side = recipe["image_size"]
    return CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )


def build_unet(recipe: Recipe, text_hidden: int) -> UNet2DConditionModel:
    """(B, 4, 16, 16) noisy latents, timesteps, (B, 77, text_hidden) -> the noise in them."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=tuple(recipe["channels"]),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=recipe["layers_per_block"],
        attention_head_dim=recipe["heads"],  # diffusers' old name: the number of heads
        cross_attention_dim=text_hidden,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas; the noise schedule of training and the default of sampling."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
        timestep_spacing="leading",
    )
