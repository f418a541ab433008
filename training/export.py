"""Checkpoints -> models/bundled: a Stable Diffusion pipeline in fp16 safetensors."""

from __future__ import annotations

import json
from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPModel

from training import networks, tokens
from training.autoencoder import WHITENING, Whitening, fold, freeze_encoder
from training.data import SIZE, all_captions
from training.loop import Options, load_averaged

BUNDLED = Path(__file__).parent.parent / "models" / "bundled"
SHARD = "14MB"
PREVIEW = "preview.json"

EXAMPLES = (
    "a red apple on a blue background, flat style",
    "glossy robot, yellow background",
    "a detailed owl on purple",
    "pink background, flat penguin",
    "a glossy emoji of a rocket on a black background",
    "sunflower, detailed style, green background",
    "a small ghost on an orange background, glossy style",
    "cat",
)


def load_part(stage: str, model: nn.Module, options: Options, folder: str) -> str:
    """The stage's averaged weights ("checkpoint"), else the "shipped" ones, else "random"."""
    if load_averaged(stage, model, options):
        return "checkpoint"
    shards = sorted((BUNDLED / folder).glob("*.safetensors"))
    state = {name: value for shard in shards for name, value in load_file(shard).items()}
    if state:
        model.load_state_dict({name: value.float() for name, value in state.items()})
    print(f"{stage}: no checkpoint, {'the shipped' if state else 'random'} weights", flush=True)
    return "shipped" if state else "random"


def load_vae(recipe: dict[str, networks.Recipe], options: Options) -> AutoencoderKL:
    """Frozen; the decoder as stage `decoder` left it, where that has run."""
    vae = networks.build_vae(recipe["vae"])
    freeze_encoder(vae)
    if not load_averaged("decoder", vae, options):
        vae.requires_grad_(True)
        from_checkpoint = load_part("vae", vae, options, "vae") == "checkpoint"
        measured = options.work / WHITENING
        if from_checkpoint and measured.exists():
            fold(vae, Whitening.read(measured))
    return vae.eval().requires_grad_(False).to(options.device)


def load_clip(
    recipe: dict[str, networks.Recipe], options: Options
) -> tuple[networks.CLIPTokenizer, CLIPModel]:
    tokenizer = tokens.build_tokenizer(all_captions(), recipe["tokenizer"]["merges"])
    clip = networks.build_clip(recipe["clip"], tokenizer)
    load_part("clip", clip, options, "clip")
    return tokenizer, clip.eval().requires_grad_(False).to(options.device)


def build_pipeline(
    recipe: dict[str, networks.Recipe], options: Options
) -> tuple[StableDiffusionPipeline, CLIPModel]:
    tokenizer, clip = load_clip(recipe, options)
    unet = networks.build_unet(recipe["unet"], recipe["clip"]["text_hidden"])
    load_part("unet", unet, options, "unet")
    pipeline = StableDiffusionPipeline(
        vae=load_vae(recipe, options),
        text_encoder=networks.text_encoder_of(clip).to(options.device),
        tokenizer=tokenizer,
        unet=unet.eval().requires_grad_(False).to(options.device),
        scheduler=networks.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipeline, clip


def export(recipe: dict[str, networks.Recipe], options: Options) -> None:
    pipeline, clip = build_pipeline(recipe, options)
    for folder in ("unet", "vae", "text_encoder", "clip"):
        for stale in (BUNDLED / folder).glob("*.safetensors*"):
            stale.unlink()
    for module in (pipeline.unet, pipeline.vae, pipeline.text_encoder, clip):
        module.to("cpu").half()
    pipeline.save_pretrained(BUNDLED, safe_serialization=True, max_shard_size=SHARD)
    clip.save_pretrained(BUNDLED / "clip", max_shard_size=SHARD)
    for folder in ("text_encoder", "clip"):
        load_as_float32(BUNDLED / folder / "config.json")
    networks.build_image_processor(recipe["clip"]).save_pretrained(BUNDLED / "clip")
    write_preview(options)
    write_lightbox(recipe["export"])
    sizes = {p: p.stat().st_size for p in BUNDLED.rglob("*") if p.is_file()}
    largest = max(sizes, key=lambda path: sizes[path])
    print(
        f"{sum(sizes.values()) / 1e6:.1f} MB in {BUNDLED.name}, "
        f"largest {largest.name} {sizes[largest] / 1e6:.1f} MB"
    )


def load_as_float32(config: Path) -> None:
    """transformers loads weights in the type that config.json names, diffusers in float32.

    Without this the plain `from_pretrained(models/bundled)` would mix the two and fail.
    """
    content = json.loads(config.read_text())
    for part in (content, content.get("text_config", {}), content.get("vision_config", {})):
        if "dtype" in part:
            part["dtype"] = "float32"
    config.write_text(json.dumps(content, indent=2) + "\n")


def write_preview(options: Options) -> None:
    """Scaled latents -> RGB in -1..1, fitted by stage latents; a rough guess without it."""
    fitted = options.work / PREVIEW
    if fitted.exists():
        (BUNDLED / PREVIEW).write_text(fitted.read_text())
    elif not (BUNDLED / PREVIEW).exists():
        guess = {"weight": [[0.25, 0.25, 0.25]] * 4, "bias": [0.0, 0.0, 0.0]}
        (BUNDLED / PREVIEW).write_text(json.dumps(guess, indent=2) + "\n")


def write_lightbox(recipe: networks.Recipe) -> None:
    """What the app reads beside the pipeline: its name, defaults and example prompts."""
    content = {
        "name": recipe["name"],
        "default_guidance_scale": recipe["guidance_scale"],
        "default_width": SIZE,
        "default_height": SIZE,
        "default_num_inference_steps": 20,
        "default_scheduler": "DPM++ 2M",
        "example_prompts": list(EXAMPLES),
    }
    (BUNDLED / "lightbox.json").write_text(json.dumps(content, indent=2) + "\n")
