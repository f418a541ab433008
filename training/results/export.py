"""Checkpoints -> models/bundled: a Stable Diffusion pipeline in fp16 safetensors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPModel

from training.data import captions, tokens
from training.data.scenes import SIZE
from training.data.vocabulary import BACKGROUNDS, FILLER, NAMES, POSITIONS, SIZES, STYLES, TAUGHT
from training.loop import networks
from training.loop.loop import Options, load_averaged
from training.stages.autoencoder import WHITENING, Whitening, fold, freeze_encoder

BUNDLED = Path(__file__).parents[2] / "models" / "bundled"
SHARD = "14MB"
PREVIEW = "preview.json"
WORDS = "words.pt"  # the CLIP as stage words left it

EXAMPLES = (
    "a red apple on a blue background, flat style",
    "a cat wearing a hat",
    "a detailed owl on purple",
    "a spaceship, highly detailed, 4k",
    "a glossy emoji of a rocket on a black background",
    "photo of a juicy burger on a yellow background",
    "sunflower, detailed style, green background",
    "cat",
)


def load_part(stage: str, model: nn.Module, options: Options, folder: str) -> str:
    """The stage's averaged weights ("checkpoint"), else the "shipped" ones, else "random"."""
    if load_averaged(stage, model, options):
        return "checkpoint"
    shards = sorted((BUNDLED / folder).glob("*.safetensors"))
    state = {name: value for shard in shards for name, value in load_file(shard).items()}
    if state:
        _grow(state, model)
        model.load_state_dict({name: value.float() for name, value in state.items()})
    print(f"{stage}: no checkpoint, {'the shipped' if state else 'random'} weights", flush=True)
    return "shipped" if state else "random"


def _grow(state: dict[str, Tensor], model: nn.Module) -> None:
    """Give shipped token embeddings the rows that a longer vocabulary has in `model`."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if name.endswith("token_embedding.weight") and name in state:
            state[name] = tokens.grown_rows(state[name].float(), len(value), generator)


def load_tokenizer() -> networks.CLIPTokenizer:
    """The shipped one, grown by the words that have come since."""
    return tokens.build_tokenizer(captions.words(), tokens.merges_of(BUNDLED / "tokenizer"))


def shipped_objects() -> dict[str, list[str]] | None:
    """What the shipped model says it draws; None for version 1, which says nothing."""
    described = json.loads((BUNDLED / "lightbox.json").read_text())
    return described.get("vocabulary", {}).get("objects")


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


def load_words(
    recipe: dict[str, networks.Recipe], options: Options
) -> tuple[networks.CLIPTokenizer, CLIPModel]:
    """The CLIP before stage text: its checkpoint, or the shipped one with the rows of new words."""
    tokenizer = load_tokenizer()
    clip = networks.build_clip(recipe["clip"], tokenizer)
    begun = options.work / WORDS
    if begun.exists():
        clip.load_state_dict(torch.load(begun, weights_only=True))
        print("clip: as stage words left it", flush=True)
    else:
        load_part("clip", clip, options, "clip")
    return tokenizer, clip.eval().requires_grad_(False).to(options.device)


def load_clip(
    recipe: dict[str, networks.Recipe], options: Options
) -> tuple[networks.CLIPTokenizer, CLIPModel]:
    """Frozen, with the text tower as stage text left it where that has run."""
    tokenizer, clip = load_words(recipe, options)
    clip.text_model.requires_grad_(True)
    load_averaged("text", clip.text_model, options)
    return tokenizer, clip.requires_grad_(False)


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
        "vocabulary": vocabulary()
        | {"positions": list(POSITIONS) if recipe["two_objects"] else []},
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (BUNDLED / "lightbox.json").write_text(_short_lists(text) + "\n")


def vocabulary() -> dict[str, Any]:
    """Every word that the model was trained on: what it draws, and what it was taught to ignore."""
    return {
        "objects": {noun: list(NAMES[noun][1:]) for noun in NAMES if noun in TAUGHT},
        "styles": list(STYLES),
        "backgrounds": list(BACKGROUNDS),
        "sizes": list(SIZES),
        "filler": sorted({word for word in _filler_words() if word}),
    }


def _filler_words() -> Iterator[str]:
    """Single words: those of filler.toml and of the captions' forms, less the words of names."""
    names = {word for all_of in NAMES.values() for name in all_of for word in name.split()}
    given = (text.replace("{}", "") for texts in FILLER.values() for text in texts)
    for text in (*given, *captions.form_words()):
        for word in re.findall(r"[a-z0-9-]+", text):
            if word not in names | {*STYLES, *BACKGROUNDS, *SIZES}:
                yield word


def _short_lists(text: str) -> str:
    """JSON with the lists of strings on one line each: it is read by people too."""
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
