"""Small sweeps and pictures for the tests of what is exported."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.output.sheet.sheet import SheetCell
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep

BASE = GenerationSettings(prompt="a red apple", seed=7, num_inference_steps=10)


def grid_sweep(columns: int = 3, rows: int = 2, pages: int = 1) -> Sweep:
    return Sweep(
        base=BASE,
        x=parse_axis("guidance_scale", f"1-{columns}") if columns > 1 else None,
        y=parse_axis("seed", f"1-{rows}") if rows > 1 else None,
        z=parse_axis("num_inference_steps", f"5-{4 + pages}") if pages > 1 else None,
    )


def color_of(x: int, y: int, z: int = 0) -> tuple[int, int, int]:
    """A colour that no other cell and no lettering has."""
    return (40 + 20 * x, 250 - 20 * y, 100 + 40 * z)


def flat(x: int, y: int, z: int = 0, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color_of(x, y, z))


def noise(side: int = 64, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))


def flat_cells(sweep: Sweep) -> list[SheetCell]:
    return [SheetCell(x=c.x, y=c.y, z=c.z, image=flat(c.x, c.y, c.z)) for c in sweep.cells()]


def box_of(picture: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the pixels that have exactly this colour; None without any."""
    found = np.argwhere((np.asarray(picture.convert("RGB")) == color).all(axis=2))
    if not len(found):
        return None
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    return int(left), int(top), int(right) + 1, int(bottom) + 1
