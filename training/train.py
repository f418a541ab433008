"""python -m training.train STAGE, in the order of STAGES. See training/README.md."""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from platformdirs import user_cache_dir

from training import autoencoder, contrastive, data, diffusion, latents, networks, tokens
from training.export import PREVIEW, export, load_clip, load_part, load_vae
from training.loop import Options, train

HERE = Path(__file__).parent
LATENTS = "latents.npy"  # (scenes, 4, 16, 16) float16, unit variance
EMBEDDINGS = "embeddings.npy"  # (captions, 77, hidden) float16


def read_recipe(path: Path) -> dict[str, networks.Recipe]:
    return tomllib.loads(path.read_text())


def load_pictures(
    recipe: dict[str, networks.Recipe], options: Options, count: int
) -> tuple[list[data.Scene], np.ndarray]:
    """The first `count` training scenes and their pictures (count, 128, 128, 3) uint8."""
    everything = recipe["data"]
    scenes = data.scenes(everything["scenes"], everything["seed"], from_held_out=False)[:count]
    sprites = data.load_sprites(options.icons, options.work)
    return scenes, data.load_pictures(scenes, sprites, options.work / f"pictures-{count}.npy")


def train_vae(recipe: dict[str, networks.Recipe], options: Options) -> None:
    _, pictures = load_pictures(recipe, options, recipe["vae"]["pictures"])
    vae = networks.build_vae(recipe["vae"])
    loss_of = autoencoder.vae_loss(vae, pictures, recipe["vae"], options)
    train("vae", vae, loss_of, recipe["vae"], options)


def train_decoder(recipe: dict[str, networks.Recipe], options: Options) -> None:
    _, pictures = load_pictures(recipe, options, recipe["vae"]["pictures"])
    vae = load_vae(recipe, options).requires_grad_(True)
    autoencoder.freeze_encoder(vae)
    loss_of = autoencoder.vae_loss(vae, pictures, recipe["decoder"], options)
    train("decoder", vae, loss_of, recipe["decoder"], options)


def train_clip(recipe: dict[str, networks.Recipe], options: Options) -> None:
    scenes, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
    tokenizer = tokens.build_tokenizer(data.all_captions(), recipe["tokenizer"]["merges"])
    clip = networks.build_clip(recipe["clip"], tokenizer)
    halved = contrastive.halve(pictures)
    loss_of = contrastive.clip_loss(clip, tokenizer, halved, scenes, recipe["clip"], options)
    train("clip", clip, loss_of, recipe["clip"], options)


def make_latents(recipe: dict[str, networks.Recipe], options: Options) -> None:
    """Encode everything once: the UNet reads these files instead of pictures and texts."""
    _, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
    measured = options.work / autoencoder.WHITENING
    fresh = options.checkpoint("vae").exists() and not options.checkpoint("decoder").exists()
    if fresh:
        measured.unlink(missing_ok=True)  # the encoder must give its raw latents
    vae = load_vae(recipe, options)
    raw, variance = latents.encode(vae, pictures, options)
    if fresh:
        whitening = latents.measure(raw, variance)
        measured.write_text(json.dumps(asdict(whitening)))
        scaled = latents.whiten(raw, whitening)
    else:  # the shipped encoder and the decoder's checkpoint are whitened already
        scaled = raw * vae.config["scaling_factor"]
    np.save(options.work / LATENTS, scaled.astype(np.float16))
    preview = latents.fit_preview(scaled[:2000], pictures)
    (options.work / PREVIEW).write_text(json.dumps(preview, indent=2) + "\n")


def embed_captions(recipe: dict[str, networks.Recipe], options: Options) -> None:
    tokenizer, clip = load_clip(recipe, options)
    latents.embed(clip, tokenizer, data.all_captions(), options, options.work / EMBEDDINGS)


def train_unet(recipe: dict[str, networks.Recipe], options: Options) -> None:
    everything = recipe["data"]
    unet = networks.build_unet(recipe["unet"], recipe["clip"]["text_hidden"])
    if options.warm:
        load_part("unet", unet, options, "unet")
    if options.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # the fused one's backward is far slower there
    loss_of = diffusion.unet_loss(
        unet,
        networks.build_scheduler(),
        np.load(options.work / LATENTS),
        data.scenes(everything["scenes"], everything["seed"], from_held_out=False),
        {text: row for row, text in enumerate(data.all_captions())},
        np.load(options.work / EMBEDDINGS, mmap_mode="r"),
        recipe["unet"],
        options,
    )
    train("unet", unet, loss_of, recipe["unet"], options)


STAGES = {
    "vae": train_vae,
    "clip": train_clip,
    "latents": make_latents,
    "embeddings": embed_captions,
    "unet": train_unet,
    "decoder": train_decoder,
    "export": export,
}


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    cache = Path(user_cache_dir("diffusion-lightbox-training"))
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--icons", type=Path, default=HERE / "node_modules")
    parser.add_argument("--work", type=Path, default=cache, help="caches and checkpoints")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pause-file", type=Path, help="training waits while this file exists")
    parser.add_argument(
        "--warm", action="store_true", help="unet: begin at the shipped weights, not at random"
    )
    parser.add_argument(
        "--share-cores", action="store_true", help="use only the cores that other programs leave"
    )
    return parser


def options_of(given: argparse.Namespace) -> Options:
    return Options(
        work=given.work,
        icons=given.icons,
        minutes=given.minutes,
        device=torch.device(given.device),
        pause_file=given.pause_file,
        warm=given.warm,
        share_cores=given.share_cores,
    )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("stage", choices=STAGES)
    given = parser.parse_args()
    STAGES[given.stage](read_recipe(given.recipe), options_of(given))
