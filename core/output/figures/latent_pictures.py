"""Latents of one step as pictures: a heat map a channel, and where a prediction has changed."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.diffusion.sampling.frames import to_vp
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory

_BELOW, _ZERO, _ABOVE = (33, 92, 150), (246, 243, 238), (176, 58, 18)
_DARK = (21, 19, 17)


@dataclass(frozen=True, kw_only=True, eq=False)
class StepLatents:
    """What there is at one UNet call, each (C, h, w): `x` before it in variance-preserving
    coordinates, the `x0` predicted by it, and x0's `change` since the call before (None at the
    first).
    """

    x: np.ndarray
    x0: np.ndarray
    change: np.ndarray | None


def step_latents(trajectory: Trajectory, settings: GenerationSettings, index: int) -> StepLatents:
    """The tensors of call `index`, from 0. Raises ValueError where none were recorded."""
    latents, x0 = trajectory.latents, trajectory.pred_original_sample
    if latents is None or x0 is None:
        raise ValueError("the trajectory holds numbers only")
    x = to_vp(latents[index], trajectory.records[index].sigma, settings.scheduler)
    change = x0[index] - x0[index - 1] if index else None
    return StepLatents(x=x, x0=x0[index], change=change)


def spans(trajectory: Trajectory, settings: GenerationSettings) -> tuple[float, float]:
    """The values at the ends of the colours, of x and of x0: 99 % of their entries lie within, so
    that all steps of a run have the same colours.
    """
    calls = range(len(trajectory.records))
    now = [step_latents(trajectory, settings, index) for index in calls]
    ends = [np.quantile(np.abs([getattr(one, name) for one in now]), 0.99) for name in ("x", "x0")]
    return float(ends[0]) or 1.0, float(ends[1]) or 1.0


def heat_map(values: np.ndarray, limit: float) -> np.ndarray:
    """(h, w) as uint8 (h, w, 3): blue at -limit, nearly white at 0, red at +limit."""
    share = np.nan_to_num(values / limit).clip(-1, 1)[..., None]
    zero = np.asarray(_ZERO, dtype=float)
    ends = np.where(share < 0, np.asarray(_BELOW, dtype=float), np.asarray(_ABOVE, dtype=float))
    return (zero + np.abs(share) * (ends - zero)).round().astype(np.uint8)


def change_map(change: np.ndarray) -> tuple[np.ndarray, float]:
    """Return where x0 has changed, as uint8 (h, w, 3) from dark to light, and the largest change.

    (C, h, w) -> RMS over the channels; the lightest place is the largest of this very step.
    """
    size = np.sqrt(np.square(change).mean(0))
    largest = float(size.max())
    share = (size / largest if largest > 0 else size)[..., None]
    dark, light = np.asarray(_DARK, dtype=float), np.asarray(_ZERO, dtype=float)
    return (dark + share * (light - dark)).round().astype(np.uint8), largest


def enlarged_png(pixels: np.ndarray, longest: int) -> bytes:
    """A PNG in which every entry of the latent is a square, at least `longest` pixels a side."""
    height, width = pixels.shape[:2]
    times = max(1, -(-longest // max(height, width)))
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).resize(
        (width * times, height * times), Image.Resampling.NEAREST
    )
    image.save(buffer, "PNG")
    return buffer.getvalue()
