"""QUANTITIES: everything that is measured of a sweep's cells. A new measure is a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from core.diffusion.trajectory import Trajectory
from core.output.numbers.metrics import rmse, ssim
from core.output.numbers.picture_measures import (
    JPEG_QUALITY,
    colourfulness,
    entropy,
    jpeg_size,
    saturation,
    sharpness,
)

SMALLEST_SIDE = 11
"""Pixels that SSIM's window needs."""

SETTLED_COSINE = 0.99

Need = Literal["run", "steps", "picture", "pair", "seen"]
"""What is read for a quantity: what is stored of the run, its recorded steps, the picture, the
picture and another, or what CLIP sees of both.
"""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number of a cell as people read it.

    One of the functions measures it, else it is known from the run or from CLIP. A function that
    measures otherwise than before has a new `version`: values that were kept are measured again.
    """

    name: str
    label: str
    digits: int
    note: str
    of_steps: Callable[[Trajectory], float | None] | None = None
    of_picture: Callable[[Image.Image], float | None] | None = None
    of_pair: Callable[[Image.Image, Image.Image], float | None] | None = None
    is_seen: bool = False
    version: int = 1

    @property
    def needs(self) -> Need:
        if self.is_seen:
            return "seen"
        if self.of_steps is not None:
            return "steps"
        if self.of_picture is not None:
            return "picture"
        return "run" if self.of_pair is None else "pair"

    def show(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.{self.digits}f}"


def settled_step(trajectory: Trajectory) -> float | None:
    """The first UNet call, counted from 1, from which on the predicted x0 keeps a cosine of at
    least SETTLED_COSINE with the last one; None where the steps did not record it.
    """
    cosines = [record.x0_cos_final for record in trajectory.records]
    if not cosines or any(cosine is None for cosine in cosines):
        return None
    settled = len(cosines)
    while settled > 1 and (cosines[settled - 2] or 0.0) >= SETTLED_COSINE:
        settled -= 1
    return float(settled)


def _final_latent_rms(trajectory: Trajectory) -> float | None:
    return trajectory.final_latent_rms


def _same_size_rmse(image: Image.Image, other: Image.Image) -> float | None:
    return rmse(image, other) if image.size == other.size else None


def _large_enough_ssim(image: Image.Image, other: Image.Image) -> float | None:
    if image.size != other.size or min(image.size) < SMALLEST_SIDE:
        return None
    return ssim(image, other)


QUANTITIES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            name="rmse",
            label="RMSE",
            digits=2,
            note="to the reference, 0 to 255",
            of_pair=_same_size_rmse,
        ),
        Quantity(
            name="ssim",
            label="SSIM",
            digits=3,
            note="with the reference, 1 is equal (Wang et al. 2004)",
            of_pair=_large_enough_ssim,
        ),
        Quantity(
            name="clip_cosine",
            label="CLIP cosine",
            digits=3,
            note="with the reference as CLIP sees both, 1 is equal",
            is_seen=True,
        ),
        Quantity(name="clip_score", label="CLIP score", digits=1, note="picture and prompt"),
        Quantity(
            name="saturation",
            label="Saturated share",
            digits=4,
            note="of the subpixels, those at 0 or 255",
            of_picture=saturation,
        ),
        Quantity(
            name="colourfulness",
            label="Colourfulness",
            digits=1,
            note="0 is grey, 59 quite colourful (Hasler and Suesstrunk 2003)",
            of_picture=colourfulness,
        ),
        Quantity(
            name="sharpness",
            label="Sharpness",
            digits=1,
            note="variance of the Laplacian (Pech-Pacheco et al. 2000)",
            of_picture=sharpness,
        ),
        Quantity(
            name="entropy",
            label="Entropy",
            digits=3,
            note="of the grey histogram, in bits, at most 8",
            of_picture=entropy,
        ),
        Quantity(
            name="jpeg_size",
            label="JPEG size (kB)",
            digits=2,
            note=f"at quality {JPEG_QUALITY}: how much detail there is",
            of_picture=jpeg_size,
        ),
        Quantity(
            name="final_latent_rms",
            label="Final latent RMS",
            digits=3,
            note="last step",
            of_steps=_final_latent_rms,
        ),
        Quantity(
            name="settled_step",
            label="Settling step",
            digits=0,
            note="first UNet call from which the predicted picture keeps a cosine of "
            f"{SETTLED_COSINE} with the last",
            of_steps=settled_step,
        ),
        Quantity(
            name="seconds",
            label="Computing time (s)",
            digits=2,
            note="the picture's own share of the batch, by UNet rows",
        ),
        Quantity(
            name="unet_rows",
            label="UNet rows",
            digits=0,
            note="of all its UNet calls: what its time is proportional to",
        ),
    )
}

LEFT_OUT: Mapping[str, str] = {
    "LPIPS": "every library of it downloads a network first",
}
"""Measures that people look for and that are not here, and why."""
