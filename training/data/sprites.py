"""Emoji artwork -> sprites, rendered once."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from training.data.vocabulary import OBJECTS, STYLES

SPRITE = 256  # pixels, the side of a rendered sprite
Sprites = dict[tuple[str, str], Image.Image]


def load_sprites(icons: Path, cache: Path) -> Sprites:
    """(noun, style) -> RGBA sprite of SPRITE pixels; rendered once, then read from `cache`.

    `icons` is the folder that holds @iconify-json/ (a node_modules folder).
    """
    keys = list(itertools.product(OBJECTS, STYLES))
    name = hashlib.sha256(repr(keys).encode()).hexdigest()[:8]
    path = cache / f"sprites-{name}.npz"
    if not path.exists():
        pixels = np.stack([_render(icons, STYLES[style], icon) for icon, style in keys])
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, pixels=pixels)
    pixels = np.load(path)["pixels"]  # (objects * styles, SPRITE, SPRITE, 4) uint8
    return {
        (OBJECTS[icon], style): Image.fromarray(image)
        for (icon, style), image in zip(keys, pixels, strict=True)
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
