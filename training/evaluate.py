"""python -m training.evaluate: what a model reaches, by a judge trained apart from its CLIP.

Asks for held-out single objects, held-out pairs, what newcomers type, and that among filler, at
the default guidance; for a table of six guidance values; and measures the autoencoder. Any model
folder can be asked (`--model`): compare by one judge, in one work folder. With the bundled model
it writes evaluation.json, the contact sheets and the model card beside the weights.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
)

from training.data import questions
from training.data.questions import Question
from training.data.scenes import doubles, draw, singles
from training.data.sprites import load_sprites
from training.data.vocabulary import FIRST, TAUGHT
from training.loop.loop import Options, load_averaged, train
from training.loop.networks import Recipe
from training.results import card
from training.results.export import BUNDLED, load_vae
from training.stages.autoencoder import to_tensor
from training.stages.contrastive import halve
from training.stages.judge import Judge, guesses, judge_loss
from training.train import arguments, load_pictures, options_of, read_recipe

GUIDANCE = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0)
REAL = 100  # held-out scenes that the judge and the autoencoder are measured on


def draw_all(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    guidance: float,
    steps: int,
    batch: int = 10,
) -> np.ndarray:
    """(N, 128, 128, 3) uint8, by diffusers' own pipeline; picture i has seed i."""
    parts: list[np.ndarray] = []
    for start in range(0, len(prompts), batch):
        chosen = prompts[start : start + batch]
        seeds = [torch.Generator("cpu").manual_seed(start + i) for i in range(len(chosen))]
        images = pipeline(
            chosen,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=seeds,
            output_type="np",
        ).images
        parts.append((images * 255).round().astype(np.uint8))
    return np.concatenate(parts)


def drawn(
    pipeline: StableDiffusionPipeline, prompts: list[str], guidance: float, steps: int, work: Path
) -> np.ndarray:
    """As draw_all, kept in `work`: a judge that is trained anew need not wait for the pictures."""
    digest = hashlib.sha256(repr((prompts, guidance, steps)).encode())
    for module in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        for weight in module.state_dict().values():
            digest.update(weight.numpy(force=True).tobytes())
    path = work / f"drawn-{digest.hexdigest()[:12]}.npy"
    if not path.exists():
        np.save(path, draw_all(pipeline, prompts, guidance, steps))
    return np.load(path)


def load_judge(recipe: dict[str, Recipe], options: Options) -> Judge:
    """From its checkpoint; trained now where there is none or it is not finished."""
    judge = Judge(recipe["judge"]["channels"])
    if not _is_finished("judge", recipe, options):
        scenes, pictures = load_pictures(recipe, options, recipe["data"]["scenes"])
        count = recipe["judge"]["reconstructions"]
        decoded = halve(reconstruct(load_vae(recipe, options), pictures[:count], options))
        seen = halve(pictures)
        times = len(seen) // count // 2  # reconstructions are a third
        seen = np.concatenate([seen, *[decoded] * times])
        rows = scenes + scenes[:count] * times
        loss_of = judge_loss(judge, seen, rows, recipe["judge"], options)
        train("judge", judge, loss_of, recipe["judge"], options)
    else:
        load_averaged("judge", judge, options)
    return judge.eval().requires_grad_(False)


def _is_finished(stage: str, recipe: dict[str, Recipe], options: Options) -> bool:
    path = options.checkpoint(stage)
    return path.exists() and (
        torch.load(path, map_location="cpu", weights_only=True)["seen"] >= recipe[stage]["samples"]
    )


@torch.no_grad()
def reconstruct(
    vae: AutoencoderKL, pictures: np.ndarray, options: Options, batch: int = 4
) -> np.ndarray:
    """Through the latents and back, (N, H, W, 3) uint8."""
    parts: list[np.ndarray] = []
    for start in range(0, len(pictures), batch):
        pixels = to_tensor(pictures[start : start + batch]).to(options.device)
        made = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
        made = ((made.float().clamp(-1, 1) + 1) * 127.5).round().byte()
        parts.append(made.permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


def psnr(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(N,) dB of each uint8 picture."""
    error = np.square(made.astype(np.float64) - real).mean((1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-9))


def answers(judge: Judge, asked: list[Question], pictures: np.ndarray) -> list[dict[str, bool]]:
    """What is right in each picture (N, 128, 128, 3) uint8."""
    guessed = guesses(judge, halve(pictures))
    return [
        questions.right(question, {name: rows[i] for name, rows in guessed.items()})
        for i, question in enumerate(asked)
    ]


def shares(rows: list[dict[str, bool]]) -> dict[str, float]:
    """The share 0..1 of right ones of each thing asked."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}


def by_object(asked: list[Question], rows: list[dict[str, bool]]) -> dict[str, list[int]]:
    """Object -> [right, asked], the worst first; of the questions that ask for one."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for question, row in zip(asked, rows, strict=True):
        total[question.asked[0]] += 1
        right[question.asked[0]] += row["object"]
    order = sorted(total, key=lambda noun: (right[noun] / total[noun], noun))
    return {noun: [right[noun], total[noun]] for noun in order}


def measure_real(
    judge: Judge, pipeline: StableDiffusionPipeline, options: Options
) -> dict[str, Any]:
    """The judge on pictures that are right by themselves, and what the autoencoder loses."""
    sprites = load_sprites(options.icons, options.work)
    scenes = singles(REAL, 77, from_held_out=True)
    real = np.stack([draw(scene, sprites) for scene in scenes])
    made = reconstruct(pipeline.vae, real, options)
    decibels = psnr(made, real)
    asked = [
        Question(prompt="", asked=s.nouns, style=s.style, background=s.background) for s in scenes
    ]
    pairs = doubles(REAL, 77, from_held_out=True)
    two = np.stack([draw(scene, sprites) for scene in pairs])
    asked_two = [
        Question(prompt="", asked=s.nouns, background=s.background, layout=s.layout) for s in pairs
    ]
    return {
        "judge_on_real": shares(answers(judge, asked, real)),
        "judge_on_reconstructions": shares(answers(judge, asked, made)),
        "judge_on_two": shares(answers(judge, asked_two, two)),
        "vae_psnr": {"mean": float(decibels.mean()), "lowest": float(decibels.min())},
    }


def load_pipeline(folder: Path, options: Options) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(folder).to(options.device)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def question_sets(counts: dict[str, int]) -> dict[str, list[Question]]:
    return {
        "newcomers": questions.of_newcomers(with_filler=False),
        "newcomers_filler": questions.of_newcomers(with_filler=True),
        "first_objects": questions.singles(counts["pairs"], FIRST),
        "singles": questions.singles(counts["pairs"], TAUGHT) if set(FIRST) < TAUGHT else [],
        "doubles": questions.doubles(counts["two"], TAUGHT),
    }


def evaluate(
    recipe: dict[str, Recipe],
    options: Options,
    *,
    folder: Path,
    out: Path,
    counts: dict[str, int],
) -> dict[str, Any]:
    """`counts`: how many single objects, pairs of objects and table rows are asked for, and the
    steps of a picture."""
    began = time.monotonic()
    judge = load_judge(recipe, options)
    pipeline = load_pipeline(folder, options)
    described = json.loads((folder / "lightbox.json").read_text())
    guidance = described["default_guidance_scale"]
    sets = question_sets(counts)
    result: dict[str, Any] = {
        "model": described["name"],
        "steps": counts["steps"],
        "guidance": guidance,
    }
    result |= measure_real(judge, pipeline, options)
    print(json.dumps(result, indent=2), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    for name, asked in sets.items():
        if not asked:
            continue
        labels = [question.prompt for question in asked]
        pictures = drawn(pipeline, labels, guidance, counts["steps"], options.work)
        rows = answers(judge, asked, pictures)
        result[name] = {"asked": len(asked)} | shares(rows)
        if name != "doubles":
            result[f"{name}_by_object"] = by_object(asked, rows)
        if name.startswith("newcomers"):
            known = [r for q, r in zip(asked, rows, strict=True) if TAUGHT & set(q.asked)]
            result[f"{name}_known"] = {"asked": len(known)} | shares(known)
        marks = [row["object"] for row in rows]
        card.contact_sheet(pictures, labels, marks, out / f"{card.SHEETS[name]}.png")
        print(name, result[name], f"{time.monotonic() - began:.0f} s", flush=True)
    result["table"] = {}
    asked = (sets["singles"] or sets["first_objects"])[: counts["table"]]
    labels = [question.prompt for question in asked]
    for scale in GUIDANCE if asked else ():
        pictures = drawn(pipeline, labels, scale, counts["steps"], options.work)
        result["table"][f"{scale:g}"] = shares(answers(judge, asked, pictures))
        print(f"{scale:g}", result["table"][f"{scale:g}"], flush=True)
    result["table_pairs"] = len(asked)
    (out / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="the model's folder")
    parser.add_argument("--out", type=Path, help="for the figures and sheets; else the model's")
    parser.add_argument("--pairs", type=int, default=300, help="single objects asked for")
    parser.add_argument("--two", type=int, default=200, help="pairs of objects asked for")
    parser.add_argument("--table", type=int, default=300, help="pairs for each table row")
    parser.add_argument("--steps", type=int, default=20, help="DPM++ 2M steps of a picture")
    given = parser.parse_args()
    recipe, options = read_recipe(given.recipe), options_of(given)
    figures = evaluate(
        recipe,
        options,
        folder=given.model,
        out=given.out or given.model,
        counts={"pairs": given.pairs, "two": given.two, "table": given.table, "steps": given.steps},
    )
    if (given.out or given.model) == BUNDLED:
        card.write_card(figures, BUNDLED)
