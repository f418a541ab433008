"""Emoji artwork -> sprites -> captioned scenes of 128 x 128 pixels.

A scene is one object in one style on one background. The three icon sets draw the same
objects, so the set is the style. Size, place, mirror and rotation vary only a little: a model
trained on a CPU spends its capacity on whatever varies.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from training.vocabulary import BACKGROUNDS, JITTER, OBJECTS, STYLES

SIZE = 128  # pixels, the side of a scene
SPRITE = 256  # pixels, the side of a rendered sprite

NOUNS = tuple(OBJECTS.values())
STYLE_NAMES = tuple(STYLES)
BACKGROUND_NAMES = tuple(BACKGROUNDS)
HELD_OUT = 100  # combinations of (object, style, background) never trained on by clip and unet


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that determines one picture. Lengths are fractions of the side, angle in degrees."""

    noun: str
    style: str
    background: str
    color: tuple[int, int, int]
    size: float
    x: float
    y: float
    mirror: bool
    angle: float

    @property
    def combination(self) -> tuple[str, str, str]:
        return self.noun, self.style, self.background

    @property
    def size_word(self) -> str:
        """ "small" or "large" at the ends of the range of sizes, "" between."""
        return "small" if self.size < 0.58 else "large" if self.size > 0.77 else ""


def combinations() -> list[tuple[str, str, str]]:
    return list(itertools.product(NOUNS, STYLE_NAMES, BACKGROUND_NAMES))


def held_out() -> frozenset[tuple[str, str, str]]:
    """The HELD_OUT combinations with the smallest SHA-256: the same on every machine."""
    return frozenset(sorted(combinations(), key=lambda c: _hash("/".join(c)))[:HELD_OUT])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def random_scene(rng: random.Random, combination: tuple[str, str, str]) -> Scene:
    noun, style, background = combination
    r, g, b = (min(255, max(0, c + rng.randint(-JITTER, JITTER))) for c in BACKGROUNDS[background])
    return Scene(
        noun=noun,
        style=style,
        background=background,
        color=(r, g, b),
        size=rng.uniform(0.5, 0.85),
        x=0.5 + rng.uniform(-0.05, 0.05),
        y=0.5 + rng.uniform(-0.05, 0.05),
        mirror=rng.random() < 0.3,
        angle=rng.uniform(-6, 6),
    )


def scenes(count: int, seed: int, *, from_held_out: bool) -> list[Scene]:
    """`count` scenes, the combinations as evenly as they go, in random order."""
    kept = held_out()
    chosen = [c for c in combinations() if (c in kept) == from_held_out]
    rng = random.Random(seed)
    order: list[tuple[str, str, str]] = []
    while len(order) < count:
        order += rng.sample(chosen, len(chosen))
    return [random_scene(rng, combination) for combination in order[:count]]


def captions(
    noun: str, style: str, background: str, size_word: str = ""
) -> list[tuple[float, str]]:
    """Every caption of a scene with its probability: full 65 %, partial 25 %, empty 10 %.

    Where the size has a word, half of the full captions say it.
    """
    full: list[str] = []
    for sized in (noun, f"{size_word} {noun}") if size_word else (noun,):
        full += [
            f"{_a(sized)} on {_a(background)} background, {style} style",
            f"{style} {sized}, {background} background",
            f"{background} background, {style} {sized}",
            f"{_a(f'{style} {sized}')} on {background}",
            f"{sized}, {style} style, {background} background",
            f"{_a(style)} emoji of {_a(sized)} on {_a(background)} background",
        ]
    partial = [
        (4, noun),
        (4, _a(noun)),
        (4, f"{_a(noun)} on {_a(background)} background"),
        (2, f"{noun}, {background} background"),
        (4, f"{_a(f'{style} {noun}')}"),
        (2, f"{noun}, {style} style"),
        (2, f"{background} background"),
        (1, f"{style} style"),
    ]
    total = sum(weight for weight, _ in partial)
    return (
        [(0.65 / len(full), text) for text in full]
        + [(0.25 * weight / total, text) for weight, text in partial]
        + [(0.10, "")]
    )


def _a(noun: str) -> str:
    """With its article, where English wants one."""
    if noun.split()[-1] in ("grapes", "fire"):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def random_caption(rng: random.Random, scene: Scene) -> str:
    choices = captions(scene.noun, scene.style, scene.background, scene.size_word)
    return rng.choices([text for _, text in choices], [weight for weight, _ in choices])[0]


def all_captions() -> list[str]:
    """Every caption that can be drawn, sorted, "" first."""
    return sorted(
        {
            text
            for combination in combinations()
            for size_word in ("", "small", "large")
            for _, text in captions(*combination, size_word)
        }
    )


Sprites = dict[tuple[str, str], Image.Image]


def load_sprites(icons: Path, cache: Path) -> Sprites:
    """(noun, style) -> RGBA sprite of SPRITE pixels; rendered once, then read from `cache`.

    `icons` is the folder that holds @iconify-json/ (a node_modules folder).
    """
    keys = list(itertools.product(OBJECTS, STYLES))
    path = cache / f"sprites-{_hash(repr(keys))[:8]}.npz"
    if not path.exists():
        pixels = np.stack([_render(icons, STYLES[style], name) for name, style in keys])
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, pixels=pixels)
    pixels = np.load(path)["pixels"]  # (objects * styles, SPRITE, SPRITE, 4) uint8
    return {
        (OBJECTS[name], style): Image.fromarray(image)
        for (name, style), image in zip(keys, pixels, strict=True)
    }


_ICON_SETS: dict[Path, dict[str, object]] = {}


def _render(icons: Path, icon_set: str, name: str) -> np.ndarray:
    path = icons / "@iconify-json" / icon_set / "icons.json"
    if path not in _ICON_SETS:
        if not path.exists():
            raise SystemExit(f"No artwork at {path}: see training/README.md, or pass --icons.")
        _ICON_SETS[path] = json.loads(path.read_text())
    content: dict = _ICON_SETS[path]
    name = content.get("aliases", {}).get(name, {}).get("parent", name)
    icon = content["icons"][name]
    width = icon.get("width", content.get("width", 16))
    height = icon.get("height", content.get("height", 16))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{SPRITE}" height="{SPRITE}" viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SPRITE, height=SPRITE)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))


def draw(scene: Scene, sprites: Sprites) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8."""
    sprite = sprites[scene.noun, scene.style]
    if scene.mirror:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    side = round(scene.size * SIZE)
    sprite = sprite.rotate(scene.angle, Image.Resampling.BICUBIC)
    sprite = sprite.resize((side, side), Image.Resampling.BOX)
    picture = Image.new("RGB", (SIZE, SIZE), scene.color)
    corner = round(scene.x * SIZE - side / 2), round(scene.y * SIZE - side / 2)
    picture.paste(sprite, corner, sprite)
    return np.asarray(picture)


def load_pictures(chosen: list[Scene], sprites: Sprites, path: Path) -> np.ndarray:
    """(N, SIZE, SIZE, 3) uint8, drawn once and then mapped from the file at `path`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        shape = (len(chosen), SIZE, SIZE, 3)
        pictures = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        for index, scene in enumerate(chosen):
            pictures[index] = draw(scene, sprites)
        pictures.flush()
        part.replace(path)
    return np.load(path, mmap_mode="r")
