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

from training.data import sprites
from training.data.scenes import Scene, doubles, singles, training_scenes
from training.data.scenes import load_pictures as drawn_pictures
from training.data.vocabulary import LEARNING, TAUGHT
from training.loop import networks
from training.loop.loop import Options, train
from training.results.export import (
    PREVIEW,
    WORDS,
    export,
    load_clip,
    load_part,
    load_tokenizer,
    load_vae,
    load_words,
    shipped_objects,
)
from training.stages import autoencoder, beginnings, contrastive, diffusion, distillation, latents

HERE = Path(__file__).parent
LATENTS = "latents.npy"  # (scenes or fewer, 4, 16, 16) float16, unit variance
MEASURED = 2000  # pictures that the whitening and the preview are fitted to


def read_recipe(path: Path) -> dict[str, networks.Recipe]:
    return tomllib.loads(path.read_text())


def load_scenes(recipe: dict[str, networks.Recipe]) -> list[Scene]:
    given = recipe["data"]
    return training_scenes(given["scenes"], given["seed"], given["two"])


def load_pictures(
    recipe: dict[str, networks.Recipe], options: Options, count: int
) -> tuple[list[Scene], np.ndarray]:
    """The first `count` training scenes and their pictures (count, 128, 128, 3) uint8."""
    scenes = load_scenes(recipe)[:count]
    drawn = sprites.load_sprites(options.icons, options.work)
    return scenes, drawn_pictures(scenes, drawn, options.work / f"pictures-{count}.npy")


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


def begin_words(recipe: dict[str, networks.Recipe], options: Options) -> None:
    """The shipped CLIP with rows for the words that have come since, near what looks alike."""
    scenes, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
    tokenizer, clip = load_words(recipe, options)
    beginnings.begin_near_lookalikes(clip, tokenizer, pictures, scenes, shipped_objects())
    torch.save(clip.state_dict(), options.work / WORDS)


def train_clip(recipe: dict[str, networks.Recipe], options: Options) -> None:
    scenes, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
    tokenizer = load_tokenizer()
    clip = networks.build_clip(recipe["clip"], tokenizer)
    halved = contrastive.halve(pictures)
    loss_of = contrastive.clip_loss(clip, tokenizer, halved, scenes, recipe["clip"], options)
    train("clip", clip, loss_of, recipe["clip"], options)


def train_text(recipe: dict[str, networks.Recipe], options: Options) -> None:
    tokenizer, clip = load_words(recipe, options)
    text = clip.text_model.requires_grad_(True)
    taught, seed = sorted(TAUGHT), recipe["data"]["seed"]
    scenes = [s for s in singles(20000, seed, from_held_out=False) if s.nouns[0] in TAUGHT]
    scenes += doubles(len(scenes) // 4, seed, from_held_out=False, of=taught)
    loss_of = distillation.text_loss(clip, tokenizer, scenes, recipe["text"], options)
    train("text", text, loss_of, recipe["text"], options)


def make_latents(recipe: dict[str, networks.Recipe], options: Options) -> None:
    """Encode every picture once, from where it stopped; the UNet takes what is there."""
    _, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
    measured = options.work / autoencoder.WHITENING
    fresh = options.checkpoint("vae").exists() and not options.checkpoint("decoder").exists()
    if fresh:
        measured.unlink(missing_ok=True)  # the encoder must give its raw latents
    vae = load_vae(recipe, options)
    if fresh:
        raw, variance = latents.encode(vae, pictures[:MEASURED], options)
        measured.write_text(json.dumps(asdict(latents.measure(raw, variance))))
        vae = load_vae(recipe, options)  # whitened from here on, as the shipped encoder is
    latents.encode_all(vae, pictures, options, options.work / LATENTS)
    preview = latents.fit_preview(np.load(options.work / LATENTS)[:MEASURED], pictures)
    (options.work / PREVIEW).write_text(json.dumps(preview, indent=2) + "\n")


def learning_rows(scenes: list[Scene], fresh: float) -> list[int]:
    """The rows of scenes that show what the UNet learns and nothing else, those with an object it
    was not taught before so often that they are the share `fresh`."""
    rows = [i for i, scene in enumerate(scenes) if LEARNING.issuperset(scene.nouns)]
    new = [i for i in rows if not TAUGHT.issuperset(scenes[i].nouns)]
    known = len(rows) - len(new)
    times = round(fresh / (1 - fresh) * known / len(new)) if new else 0
    print(
        f"unet: {known} scenes of known objects, {len(new)} of new ones {times} times", flush=True
    )
    return rows + new * max(0, times - 1)


def train_unet(recipe: dict[str, networks.Recipe], options: Options) -> None:
    unet = networks.build_unet(recipe["unet"], recipe["clip"]["text_hidden"])
    if options.warm:
        load_part("unet", unet, options, "unet")
    if options.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # the fused one's backward is far slower there
    tokenizer, clip = load_clip(recipe, options)
    encoded = np.load(options.work / LATENTS)
    scenes = load_scenes(recipe)[: len(encoded)]
    rows = learning_rows(scenes, recipe["unet"]["fresh"])
    loss_of = diffusion.unet_loss(
        unet,
        networks.build_scheduler(),
        encoded[rows],
        [scenes[i] for i in rows],
        latents.Embedder(tokenizer, clip, options),
        recipe["unet"],
        options,
    )
    train("unet", unet, loss_of, recipe["unet"], options)


STAGES = {
    "vae": train_vae,
    "clip": train_clip,
    "words": begin_words,
    "text": train_text,
    "latents": make_latents,
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
        "--warm",
        action="store_true",
        help="unet: begin at the shipped weights, not at random",
    )
    parser.add_argument(
        "--plain", action="store_true", help="unet: captions by usual names, without filler"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="bfloat16" if _has_fast_bfloat16() else "float32",
        help="bfloat16 is an autocast; by default where the processor has units for it",
    )
    parser.add_argument(
        "--share-cores", action="store_true", help="use only the cores that other programs leave"
    )
    return parser


def _has_fast_bfloat16() -> bool:
    return torch.cuda.is_available() or torch.cpu._is_amx_tile_supported()


def options_of(given: argparse.Namespace) -> Options:
    return Options(
        work=given.work,
        icons=given.icons,
        minutes=given.minutes,
        device=torch.device(given.device),
        pause_file=given.pause_file,
        warm=given.warm,
        share_cores=given.share_cores,
        plain=given.plain,
        bfloat16=given.precision == "bfloat16",
    )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("stage", choices=STAGES)
    given = parser.parse_args()
    STAGES[given.stage](read_recipe(given.recipe), options_of(given))
