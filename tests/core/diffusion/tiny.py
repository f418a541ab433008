"""Models of every family with few channels and random weights, from the published configurations.

Depth, kinds of blocks and places of attention are those of the real ones; widths are not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from core.diffusion.models.files.single_file import CONFIGS
from core.diffusion.models.files.tokenizers import read_tokenizer
from core.diffusion.recipe.schedulers import SCHEDULERS

WIDTH = 32

# Family -> the folder of its configurations and what the published ones say beside it.
KINDS: dict[str, tuple[str, str]] = {
    "SD 1.x": ("sd1", "StableDiffusionPipeline"),
    "SD 2.x": ("sd2", "StableDiffusionPipeline"),
    "SD 2.x (v-prediction)": ("sd2-v", "StableDiffusionPipeline"),
    "SD-Turbo": ("sd-turbo", "StableDiffusionPipeline"),
    "SDXL": ("sdxl", "StableDiffusionXLPipeline"),
    "SDXL-Turbo": ("sdxl-turbo", "StableDiffusionXLPipeline"),
    "LCM of SD 1.x": ("sd1", "LatentConsistencyModelPipeline"),
    "LCM of SDXL": ("sdxl", "StableDiffusionXLPipeline"),
}


def published(family: str, part: str) -> dict[str, Any]:
    folder = CONFIGS / KINDS[family][0] / part
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    return json.loads((folder / name).read_text())


def unet_config(family: str) -> dict[str, Any]:
    config = published(family, "unet")
    levels = len(config["block_out_channels"])
    small: dict[str, Any] = {
        "block_out_channels": [WIDTH, 2 * WIDTH, 2 * WIDTH, 2 * WIDTH][:levels],
        "cross_attention_dim": WIDTH,
    }
    if isinstance(config["attention_head_dim"], list):
        small["attention_head_dim"] = [2, 4, 4, 4][:levels]
    if "SDXL" in family:
        small |= {
            "cross_attention_dim": 3 * WIDTH,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 2 * WIDTH,
            "transformer_layers_per_block": [1, 1, 2],
        }
    if "LCM" in family:
        small["time_cond_proj_dim"] = WIDTH
    return config | small


def text_config(family: str, part: str) -> dict[str, Any]:
    # The towers of SDXL differ in width, by which diffusers tells them apart in a single file.
    width = 2 * WIDTH if part == "text_encoder_2" else WIDTH
    small = {"hidden_size": width, "intermediate_size": 2 * width, "projection_dim": width}
    small |= {"num_attention_heads": 4, "num_hidden_layers": 3}
    return published(family, part) | small


def build(family: str) -> Any:
    """A diffusers pipeline of the family with random weights, always the same."""
    import diffusers
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(len(family))
    vae = published(family, "vae") | {"block_out_channels": [WIDTH] * 4, "layers_per_block": 1}
    folder = CONFIGS / KINDS[family][0]
    parts: dict[str, Any] = {
        "unet": UNet2DConditionModel.from_config(unet_config(family)),
        "vae": AutoencoderKL.from_config(vae),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**text_config(family, "text_encoder"))),
        "tokenizer": read_tokenizer(folder, "tokenizer"),
    }
    if "SDXL" in family:
        second = CLIPTextConfig(**text_config(family, "text_encoder_2"))
        parts["text_encoder_2"] = CLIPTextModelWithProjection(second)
        parts["tokenizer_2"] = read_tokenizer(folder, "tokenizer_2")
    else:
        parts |= {"safety_checker": None, "feature_extractor": None}
        parts["requires_safety_checker"] = False
    scheduler = published(family, "scheduler")
    if "LCM" in family:
        parts["scheduler"] = SCHEDULERS["LCM"].build(scheduler)
    else:
        parts["scheduler"] = getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)
    pipe = getattr(diffusers, KINDS[family][1])(**parts)
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():  # louder than as built: prompt and timestep are to show in the picture
        for name in ("unet", "vae"):
            for weights in getattr(pipe, name).parameters():
                weights.mul_(1.5 if weights.ndim > 1 else 1.0)
    return pipe


def save_single_file(pipe: Any, file: Path, metadata: dict[str, str] | None = None) -> None:
    """The pipeline's weights under the names of the original code."""
    tensors = {f"model.diffusion_model.{k}": v for k, v in _unet(pipe.unet).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in _vae(pipe.vae).items()}
    first = _text_names(pipe.text_encoder)
    if hasattr(pipe, "text_encoder_2"):
        tensors |= {f"conditioner.embedders.0.transformer.{k}": v for k, v in first.items()}
        second = _open_clip(pipe.text_encoder_2)
        tensors |= {f"conditioner.embedders.1.model.{k}": v for k, v in second.items()}
    elif pipe.text_encoder.config.hidden_act == "gelu":
        second = _open_clip(pipe.text_encoder)
        tensors |= {f"cond_stage_model.model.{k}": v for k, v in second.items()}
    else:
        tensors |= {f"cond_stage_model.transformer.{k}": v for k, v in first.items()}
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, file, metadata)


def _text_names(encoder: Any) -> dict[str, torch.Tensor]:
    """With the "text_model." that all published files have, and newer transformers leave out."""
    return {
        k if k.startswith(("text_model.", "text_projection.")) else f"text_model.{k}": v
        for k, v in encoder.state_dict().items()
    }


def _renamed(
    state: dict[str, torch.Tensor], *tables: list[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    """Each table in turn: the first pair whose left is in a name changes it."""
    found: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        for table in tables:
            for ours, theirs in table:
                if ours in name:
                    name = name.replace(ours, theirs)
                    break
        found[name] = value
    return found


def _unet(unet: Any) -> dict[str, torch.Tensor]:
    levels = len(unet.config.block_out_channels)
    places: list[tuple[str, str]] = [
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("add_embedding.linear_1", "label_emb.0.0"),
        ("add_embedding.linear_2", "label_emb.0.2"),
        ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
        ("mid_block.attentions.0.", "middle_block.1."),
        ("mid_block.resnets.0.", "middle_block.0."),
        ("mid_block.resnets.1.", "middle_block.2."),
    ]
    for i in range(levels):
        for j in range(2):
            at = f"input_blocks.{3 * i + j + 1}"
            places.append((f"down_blocks.{i}.resnets.{j}.", f"{at}.0."))
            places.append((f"down_blocks.{i}.attentions.{j}.", f"{at}.1."))
        for j in range(3):
            at = f"output_blocks.{3 * i + j}"
            places.append((f"up_blocks.{i}.resnets.{j}.", f"{at}.0."))
            places.append((f"up_blocks.{i}.attentions.{j}.", f"{at}.1."))
        places.append((f"down_blocks.{i}.downsamplers.0.conv.", f"input_blocks.{3 * i + 3}.0.op."))
        after = 2 if "CrossAttn" in unet.config.up_block_types[i] else 1
        places.append((f"up_blocks.{i}.upsamplers.0.", f"output_blocks.{3 * i + 2}.{after}."))
    inside = [
        (".norm1.", ".in_layers.0."),
        (".conv1.", ".in_layers.2."),
        (".norm2.", ".out_layers.0."),
        (".conv2.", ".out_layers.3."),
        (".time_emb_proj.", ".emb_layers.1."),
        (".conv_shortcut.", ".skip_connection."),
    ]
    state = unet.state_dict()
    resnets = {k: v for k, v in state.items() if ".resnets." in k}
    others = {k: v for k, v in state.items() if ".resnets." not in k}
    return _renamed(resnets, places, inside) | _renamed(others, places)


def _vae(vae: Any) -> dict[str, torch.Tensor]:
    places: list[tuple[str, str]] = [("conv_norm_out", "norm_out")]
    places += [("mid_block.attentions.0.", "mid.attn_1.")]
    places += [(f"mid_block.resnets.{i}.", f"mid.block_{i + 1}.") for i in range(2)]
    for i in range(4):
        places += [(f"down_blocks.{i}.resnets.", f"down.{i}.block.")]
        places += [(f"down_blocks.{i}.downsamplers.0.", f"down.{i}.downsample.")]
        places += [(f"up_blocks.{i}.resnets.", f"up.{3 - i}.block.")]
        places += [(f"up_blocks.{i}.upsamplers.0.", f"up.{3 - i}.upsample.")]
    inside = [
        (".conv_shortcut.", ".nin_shortcut."),
        (".group_norm.", ".norm."),
        (".to_q.", ".q."),
        (".to_k.", ".k."),
        (".to_v.", ".v."),
        (".to_out.0.", ".proj_out."),
    ]
    found = _renamed(vae.state_dict(), places, inside)
    return {
        k: v[..., None, None] if ".attn_1." in k and v.ndim == 2 else v for k, v in found.items()
    }


def _open_clip(encoder: Any) -> dict[str, torch.Tensor]:
    places = [
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("text_model.final_layer_norm.", "ln_final."),
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("text_projection.weight", "text_projection"),
    ]
    inside = [
        (".layer_norm1.", ".ln_1."),
        (".layer_norm2.", ".ln_2."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
        (".self_attn.", ".attn."),
    ]
    state = _renamed(_text_names(encoder), places, inside)
    found: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if ".q_proj." in name:
            three = [state[name.replace(".q_proj.", f".{x}_proj.")] for x in "qkv"]
            found[name.replace(".q_proj.", ".in_proj_")] = torch.cat(three)
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[name] = value.T if name == "text_projection" else value
    width = encoder.config.hidden_size
    return {"text_projection": torch.eye(width)} | found
