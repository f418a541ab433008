"""Where words act: attention and effect of an object's and a background's word, on held-out scenes.

python -m training.results.words: writes what it finds to standard output, as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from core.diffusion.inside.attention import attend
from core.diffusion.inside.effects import effects
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.settings import GenerationSettings
from core.output.numbers.metrics import difference
from training.data.scenes import singles
from training.data.vocabulary import FIRST
from training.results.export import BUNDLED

T = TypeVar("T")

SCENES_SEED = 1234
APART = 40.0  # of 255, RMS over the colours: further than this from the background is the object
OBJECT_AREA = (0.08, 0.7)  # of the picture; with less or more there is no object to be seen
STEPS, GUIDANCE = 20, 5.0


def finish(work: Generator[Any, Any, T]) -> T:
    """Run a task's generator to its end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def object_mask(image: Image.Image) -> np.ndarray:
    """Where the picture is not its background, (h, w) bool: the border's median colour is that."""
    pixels = np.asarray(image, dtype=float)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.sqrt(np.square(pixels - np.median(edge, axis=0)).mean(-1))
    return distance > APART


def share(values: np.ndarray, mask: np.ndarray) -> float:
    """What share of a map's sum lies where `mask`, of any size, is true."""
    large = Image.fromarray(values.astype(np.float32)).resize(
        mask.shape[::-1], Image.Resampling.BILINEAR
    )
    at = np.asarray(large)
    return float(at[mask].sum() / at.sum())


def look_at(
    model: LoadedModel, noun: str, background: str, seed: int, steps: int = STEPS
) -> dict[str, float]:
    """Shares of one picture on the object, by "word map"; {} where no object is to be seen."""
    settings = GenerationSettings(
        prompt=f"a {noun} on a {background} background",
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        scheduler="DPM++ 2M",
    )
    attention = finish(attend(model, settings))
    mask = object_mask(attention.image)
    if not OBJECT_AREA[0] <= mask.mean() <= OBJECT_AREA[1]:
        return {}
    found = finish(effects(model, settings))
    shares = {"area": float(mask.mean())}
    for role, word in (("object", noun), ("background", background)):
        places = [place.position for place in attention.prompt.tokens if place.text == word]
        effect = next(one for one in found.words if one.word == word)
        maps = {
            "attention": attention.maps[places].sum(0),
            "effect on x0, first call": effect.on_x0[0],
            "effect on x0, middle call": effect.on_x0[len(effect.on_x0) // 2],
            "effect on the picture": difference(found.image, effect.image),
        }
        for name, values in maps.items():
            shares[f"{role}: {name}"] = share(values, mask)
    return shares


def where_words_act(model: LoadedModel, count: int) -> dict[str, Any]:
    """Means and standard errors over `count` held-out scenes of objects with one-word names."""
    rows: dict[str, list[float]] = defaultdict(list)
    scenes = singles(8 * count, SCENES_SEED, from_held_out=True)
    known = [s for s in scenes if s.nouns[0] in FIRST and s.nouns[0].isalpha()][:count]
    for seed, scene in enumerate(known):
        for name, value in look_at(model, scene.nouns[0], scene.background, seed).items():
            rows[name].append(value)
    seen = len(rows["area"])
    return {"asked": len(known), "seen": seen} | {
        name: {"mean": float(np.mean(values)), "error": float(np.std(values) / seen**0.5)}
        for name, values in rows.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="the model's folder")
    parser.add_argument("--scenes", type=int, default=60, help="held-out scenes")
    given = parser.parse_args()
    print(json.dumps(where_words_act(load_model(str(given.model)), given.scenes), indent=2))
