"""What becomes of a mask before it is used: grown, blurred, and the area about it enlarged; what a
grey one lets change; and what of it the latents miss.

A mask is uint8 (height, width): white, 255, is inpainted. Imports no torch.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageFilter

from core.diffusion.recipe.images import Array, InputError, ReadInput
from core.diffusion.recipe.problems import Problem
from core.diffusion.recipe.setting import Settings

MaskMode = Literal["binary", "differential"]
MASK_MODES: tuple[MaskMode, ...] = ("binary", "differential")
"""Of a grey mask: cut at one half, as diffusers' mask processor does; or read as how far a place
may change (Levin and Fried 2023, "Differential Diffusion")."""


Region = tuple[int, int, int, int]
"""A part of a frame in pixels, as Pillow has it: left, top, and the first beyond right, bottom."""

MISSED_SHARE = 0.1
"""Of a mask's white: what corners and slopes of any mask lose is less."""


def soft_mask(mask: Array, settings: Settings) -> Array:
    """The mask after `mask_grow` and then `mask_blur`, as grey as they leave it."""
    made = grown(mask, settings.mask_grow)
    return blurred(made, settings.mask_blur) if settings.mask_blur else made


def prepared_mask(mask: Array, settings: Settings) -> Array:
    """The mask after `mask_grow` and then `mask_blur`; in binary mode 0 and 255 alone."""
    return _by_mode(soft_mask(mask, settings), settings)


def inpainted_mask(mask: Array, settings: Settings) -> Array:
    """The prepared mask of the picture that the model gets: with `masked_only` that is the masked
    area, enlarged.
    """
    soft = soft_mask(mask, settings)
    area = masked_area(soft, settings)
    return _by_mode(soft if area is None else enlarged(soft, area), settings)


def _by_mode(soft: Array, settings: Settings) -> Array:
    if settings.mask_mode == "differential":
        return soft
    return np.where(soft >= 128, 255, 0).astype(np.uint8)


def masked_area(soft: Array, settings: Settings) -> Region | None:
    """The area that is inpainted alone, of a mask that is not black; None for the whole picture.

    All that is not black with `masked_padding` pixels around it, then widened to the frame's own
    proportions, and moved where it would stand over the frame's edge: the area of diffusers'
    `get_crop_region`.
    """
    if not settings.masked_only:
        return None
    height, width = soft.shape
    left, right = _padded(np.any(soft, axis=0), settings.masked_padding)
    top, bottom = _padded(np.any(soft, axis=1), settings.masked_padding)
    ratio = width / height
    if (right - left) / (bottom - top) > ratio:
        more = int((right - left) / ratio - (bottom - top))
        top, bottom = _widened(top, bottom, more, height)
    else:
        more = int((bottom - top) * ratio - (right - left))
        left, right = _widened(left, right, more, width)
    return left, top, right, bottom


def _padded(is_masked: Array, padding: int) -> tuple[int, int]:
    places = np.flatnonzero(is_masked)
    return max(int(places[0]) - padding, 0), min(int(places[-1]) + 1 + padding, len(is_masked))


def _widened(low: int, high: int, more: int, most: int) -> tuple[int, int]:
    low, high = low - more // 2, high + more - more // 2
    if high > most:
        low, high = low - (high - most), most
    if low < 0:
        low, high = 0, high - low
    return low, min(high, most)


def enlarged(picture: Array, area: Region) -> Array:
    """An area of a picture or mask, uint8 (height, width[, 3]), at the size of the whole.

    By Lanczos, its proportions kept; where rounding has left the area a little narrower than the
    frame, the last row or column goes on to the edge. diffusers' "fill" resizes so.
    """
    height, width = picture.shape[:2]
    part = Image.fromarray(picture).crop(area)
    ratio, own = width / height, part.width / part.height
    wide = width if ratio < own else part.width * height // part.height
    high = height if ratio >= own else part.height * width // part.width
    resized = part.resize((wide, high), Image.Resampling.LANCZOS)
    made = Image.new(part.mode, (width, height))
    beside, above = width // 2 - wide // 2, height // 2 - high // 2
    made.paste(resized, (beside, above))
    if ratio < own and above > 0:
        first, last = (resized.resize((width, above), box=(0, y, width, y)) for y in (0, high))
        made.paste(first, (0, 0))
        made.paste(last, (0, above + high))
    elif ratio > own and beside > 0:
        first, last = (resized.resize((beside, height), box=(x, 0, x, height)) for x in (0, wide))
        made.paste(first, (0, 0))
        made.paste(last, (beside + wide, 0))
    return np.asarray(made)


def emptied(mask: Array, settings: Settings) -> Problem | None:
    """Say what left nothing of a mask that was not empty; None where something is left. An empty
    one has no area that could be inpainted alone.
    """
    if not mask.any():
        if not settings.masked_only:
            return None
        reason = "finds no area: the mask is black. Make a part of it white, or switch it off"
        return Problem(field="masked_only", reason=reason)
    if prepared_mask(mask, settings).any():
        return None
    if settings.mask_grow < 0:
        reason = (
            f"{settings.mask_grow} shrinks the mask until nothing of it is left: choose a number "
            "nearer to 0, or a larger mask"
        )
        return Problem(field="mask_grow", reason=reason)
    if settings.mask_blur:
        reason = (
            f"{settings.mask_blur} blurs the mask until no place of it is half white: choose a "
            "smaller number, or a larger mask"
        )
        return Problem(field="mask_blur", reason=reason)
    return None


def missed(mask: Array, settings: Settings, vae_scale_factor: int) -> Problem | None:
    """Warn where the mask is thinner than a place of the latents, so that all or much of it is
    inpainted nowhere: a place is inpainted where the pixel at its upper left is white.

    What lies in a white square of a place's size is never missed: the square has one such pixel.
    """
    factor = vae_scale_factor
    white = inpainted_mask(mask, settings) > 0
    hit = white[::factor, ::factor]
    size = f"{factor} x {factor} pixels"
    if not hit.any():
        reason = (
            f"covers no place of the latents, of {size} each: nothing is inpainted. Make it "
            "larger, or raise Mask grow"
        )
        return Problem(field="mask_image", reason=reason, severity="warning")
    inpainted = np.repeat(np.repeat(hit, factor, axis=0), factor, axis=1)
    lost, most = white & ~inpainted, MISSED_SHARE * white.sum()
    if lost.sum() > most:
        lost &= ~_thick(white, factor)
    if lost.sum() <= most:
        return None
    share = float(lost.sum() / white.sum())
    reason = (
        f"is thinner in parts than a place of the latents, {size}: {share:.0%} of it is not "
        "inpainted. Make it wider, or raise Mask grow"
    )
    return Problem(field="mask_image", reason=reason, severity="warning")


class MaskChecks:
    """What is wrong with the masks of some settings, each read and looked at once."""

    def __init__(self, read: ReadInput) -> None:
        self._read = read
        self._found: dict[tuple[Any, ...], Problem | None] = {}

    def problem(self, settings: Settings, vae_scale_factor: int) -> Problem | None:
        """Return what `emptied` says of their mask, else what `missed` does; None without a mask,
        and for one that is gone or of another size, which is said where it is used.
        """
        if not settings.init_image or not settings.mask_image:
            return None
        key = (vae_scale_factor, *(getattr(settings, name) for name in _MASK_FIELDS))
        if key not in self._found:
            self._found[key] = self._problem(settings, vae_scale_factor)
        return self._found[key]

    def _problem(self, settings: Settings, vae_scale_factor: int) -> Problem | None:
        try:
            mask = self._read(settings.mask_image)
        except InputError:
            return None
        if mask.dtype != np.uint8 or mask.shape != (settings.height, settings.width):
            return None
        return emptied(mask, settings) or missed(mask, settings, vae_scale_factor)


_MASK_FIELDS = (
    "mask_image",
    "mask_grow",
    "mask_blur",
    "mask_mode",
    "masked_only",
    "masked_padding",
    "width",
    "height",
)


def _thick(white: Array, size: int) -> Array:
    """Where a pixel lies in a square of `size` that is all white."""
    # Each by its upper left.
    squares = np.all(sliding_window_view(white, (size, size)), axis=(2, 3))
    made = np.zeros_like(white)
    height, width = len(white) - size + 1, len(white[0]) - size + 1
    for down, across in np.ndindex(size, size):
        made[down : down + height, across : across + width] |= squares
    return made


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
