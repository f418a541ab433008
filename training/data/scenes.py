"""Sprites -> scenes of 128 x 128 pixels: one object, or two, in one style on one background.

The three icon sets draw the same objects, so the set is the style. Size, place, mirror and
rotation vary only a little: a model trained on a CPU spends its capacity on whatever varies.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training.data.sprites import Sprites
from training.data.vocabulary import BACKGROUNDS, FIRST, JITTER, OBJECTS, STYLES

SIZE = 128  # pixels, the side of a scene

NOUNS = tuple(OBJECTS.values())
STYLE_NAMES = tuple(STYLES)
BACKGROUND_NAMES = tuple(BACKGROUNDS)
HELD_OUT = 300  # combinations of (object, style, background) never trained on by clip and unet
PAIR_SHARE = 20  # one in so many pairs of objects is held out
LAYOUTS = ("beside", "stacked")
NEW_WEIGHT = 2.5  # how often an object that version 1 did not know is shown, 1 for one it did


@dataclass(frozen=True, kw_only=True)
class Item:
    """An object in its place. Lengths are fractions of the side, angle in degrees."""

    noun: str
    size: float
    x: float
    y: float
    mirror: bool
    angle: float

    @property
    def size_word(self) -> str:
        """ "small" or "large" at the ends of the range of sizes, "" between."""
        return "small" if self.size < 0.58 else "large" if self.size > 0.77 else ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that determines one picture. Of two items the first is the left or the upper one."""

    items: tuple[Item, ...]
    style: str
    background: str
    color: tuple[int, int, int]
    layout: str = ""  # of LAYOUTS where there are two items

    @property
    def nouns(self) -> tuple[str, ...]:
        return tuple(item.noun for item in self.items)

    @property
    def combination(self) -> tuple[str, str, str]:
        return self.items[0].noun, self.style, self.background


def combinations() -> list[tuple[str, str, str]]:
    return list(itertools.product(NOUNS, STYLE_NAMES, BACKGROUND_NAMES))


def held_out() -> frozenset[tuple[str, str, str]]:
    """The HELD_OUT combinations with the smallest SHA-256: the same on every machine.

    Version 1 held out the smallest of its objects by the same rule, so most of its are here.
    """
    return frozenset(sorted(combinations(), key=lambda c: _hash("/".join(c)))[:HELD_OUT])


def is_held_out_pair(one: str, other: str) -> bool:
    return int(_hash("+".join(sorted((one, other)))), 16) % PAIR_SHARE == 0


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def single(rng: random.Random, combination: tuple[str, str, str]) -> Scene:
    noun, style, background = combination
    size, off = rng.uniform(0.55, 0.85), 0.05
    item = _item(rng, noun, size, 0.5 + rng.uniform(-off, off), 0.5 + rng.uniform(-off, off))
    return Scene(items=(item,), style=style, background=background, color=_shade(rng, background))


def double(rng: random.Random, nouns: tuple[str, str]) -> Scene:
    """Two objects side by side or one above the other, in any style and on any background."""
    layout, background = rng.choice(LAYOUTS), rng.choice(BACKGROUND_NAMES)
    items: list[Item] = []
    for noun, along in zip(nouns, (0.27, 0.73), strict=True):
        across, along = 0.5 + rng.uniform(-0.06, 0.06), along + rng.uniform(-0.02, 0.02)
        place = (along, across) if layout == "beside" else (across, along)
        items.append(_item(rng, noun, rng.uniform(0.4, 0.48), *place))
    return Scene(
        items=tuple(items),
        style=rng.choice(STYLE_NAMES),
        background=background,
        color=_shade(rng, background),
        layout=layout,
    )


def _item(rng: random.Random, noun: str, size: float, x: float, y: float) -> Item:
    mirror, angle = rng.random() < 0.2, rng.uniform(-4, 4)
    return Item(noun=noun, size=size, x=x, y=y, mirror=mirror, angle=angle)


def _shade(rng: random.Random, background: str) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, c + rng.randint(-JITTER, JITTER))) for c in BACKGROUNDS[background])
    return r, g, b


def singles(count: int, seed: int, *, from_held_out: bool) -> list[Scene]:
    """`count` scenes, the combinations as evenly as their objects' weights go, in random order.

    Held-out scenes are shown equally often, whatever the object.
    """
    kept = held_out()
    rng = random.Random(seed)
    chosen = [c for c in combinations() if (c in kept) == from_held_out]
    order: list[tuple[str, str, str]] = []
    while len(order) < count:
        due = rng.sample(chosen, len(chosen))
        if not from_held_out:
            due = [c for c in due if c[0] not in FIRST or rng.random() < 1 / NEW_WEIGHT]
        order += due
    return [single(rng, combination) for combination in order[:count]]


def doubles(
    count: int, seed: int, *, from_held_out: bool, of: Sequence[str] = NOUNS
) -> list[Scene]:
    """`count` scenes of two different objects of `of`."""
    rng = random.Random(seed)
    weights = [1.0 if noun in FIRST else NEW_WEIGHT for noun in of]
    scenes: list[Scene] = []
    while len(scenes) < count:
        one, other = rng.choices(of, weights, k=2)
        if one != other and is_held_out_pair(one, other) == from_held_out:
            scenes.append(double(rng, (one, other)))
    return scenes


def training_scenes(count: int, seed: int, share_of_two: float) -> list[Scene]:
    """`count` scenes in random order, `share_of_two` of them of two objects."""
    two = round(count * share_of_two)
    scenes = singles(count - two, seed, from_held_out=False)
    scenes += doubles(two, seed, from_held_out=False)
    random.Random(seed).shuffle(scenes)
    return scenes


def draw(scene: Scene, sprites: Sprites) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8."""
    picture = Image.new("RGB", (SIZE, SIZE), scene.color)
    for item in scene.items:
        sprite = sprites[item.noun, scene.style]
        if item.mirror:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = round(item.size * SIZE)
        sprite = sprite.rotate(item.angle, Image.Resampling.BICUBIC)
        sprite = sprite.resize((side, side), Image.Resampling.BOX)
        corner = round(item.x * SIZE - side / 2), round(item.y * SIZE - side / 2)
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
