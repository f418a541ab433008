"""What becomes of a mask before it is used: grown, then blurred; and what a grey one lets change.

A mask is uint8 (height, width): white, 255, is inpainted. Imports no torch.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from core.diffusion.recipe.images import Array
from core.diffusion.recipe.setting import Settings

MaskMode = Literal["binary", "differential"]
MASK_MODES: tuple[MaskMode, ...] = ("binary", "differential")
"""Of a grey mask: cut at one half, as diffusers' mask processor does; or read as how far a place
may change (Levin and Fried 2023, "Differential Diffusion")."""


def prepared_mask(mask: Array, settings: Settings) -> Array:
    """The mask after `mask_grow` and then `mask_blur`; in binary mode 0 and 255 alone."""
    made = grown(mask, settings.mask_grow)
    if settings.mask_blur:
        made = blurred(made, settings.mask_blur)
    if settings.mask_mode == "differential":
        return made
    return np.where(made >= 128, 255, 0).astype(np.uint8)


def emptied(mask: Array, settings: Settings) -> str:
    """Say what left nothing of a mask that was not empty; "" where something is left."""
    if not mask.any() or prepared_mask(mask, settings).any():
        return ""
    if settings.mask_grow < 0:
        return (
            f"{settings.mask_grow} shrinks the mask until nothing of it is left: choose a number "
            "nearer to 0, or a larger mask"
        )
    if settings.mask_blur:
        return (
            f"{settings.mask_blur} blurs the mask until no place of it is half white: choose a "
            "smaller number, or a larger mask"
        )
    return ""


def blurred(mask: Array, radius: int) -> Array:
    """Gaussian blur; the radius is its standard deviation in pixels, as AUTOMATIC1111 has it."""
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(radius)))


def grown(mask: Array, pixels: int) -> Array:
    """The brightest within a disk of that radius about each pixel; of a negative one the darkest.

    Greyscale dilation and erosion. What lies outside the frame has no part in it.
    """
    if pixels < 0:
        return 255 - grown(255 - mask, -pixels)
    wide = np.array(mask)  # the brightest within `reach` to the left and right
    made, reach = np.array(mask), 0
    for down in range(pixels, -1, -1):
        left = max(len(mask) - down, 0)  # rows that have one so far below or above them
        while (reach + 1) ** 2 + down**2 <= pixels**2:
            reach += 1
            np.maximum(wide[:, reach:], mask[:, :-reach], out=wide[:, reach:])
            np.maximum(wide[:, :-reach], mask[:, reach:], out=wide[:, :-reach])
        np.maximum(made[down:], wide[:left], out=made[down:])
        np.maximum(made[:left], wide[down:], out=made[:left])
    return made


def may_change(mask: Array, call: int, calls: int) -> Array:
    """Where a grey mask lets the picture change after `call` of `calls`: bool (height, width).

    A place of brightness g is kept as the source has it while 1 - g / 255 > call / calls. Levin
    and Fried have it so; theirs is i / n of all steps, here of those that are run, and black is
    kept after the last call too.
    """
    dark = 255 - mask.astype(int)
    return (dark * calls <= 255 * call) & (dark < 255)
