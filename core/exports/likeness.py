"""How far stored pictures lie from each other, and frames spaced evenly in that distance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from core.output.numbers.metrics import clip_image_embedding, rmse, ssim
from core.runs.store.store import Store, StoreError
from core.runs.worker.tasks.work import TaskContext, TaskError, Work

SMALLEST_SIDE = 11
"""Pixels that SSIM's window needs."""

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Two pictures of one size: RMSE in units of 0 to 255; SSIM, None where they are too small;
    the cosine of what CLIP sees, None where there is none for the model.
    """

    rmse: float
    ssim: float | None
    clip: float | None


def likeness(
    context: TaskContext,
    settings: GenerationSettings,
    pairs: Sequence[Sequence[str]],
    with_clip: bool = False,
) -> Work:
    """A task: the likeness of each pair of stored pictures, by their digests: Pair -> Likeness.

    CLIP is asked of the settings' model where there is one. Each picture is read and seen once.
    """
    folder = describe(settings.model).folder if with_clip else None
    pictures: dict[str, Image.Image] = {}
    seen: dict[str, np.ndarray | None] = {}
    found: dict[Pair, Likeness] = {}
    for done, (one, other) in enumerate(pairs, start=1):
        for digest in (one, other):
            if digest not in pictures:
                pictures[digest] = _picture(context.store, digest)
                seen[digest] = _seen(pictures[digest], folder)
        found[one, other] = _compared(pictures[one], pictures[other], seen[one], seen[other])
        yield done, len(pairs)
    return found


def likeness_to_source(
    context: TaskContext, settings: GenerationSettings, source: str, digests: Sequence[str]
) -> Work:
    """A task: digest -> Likeness of each stored picture to the source with the digest `source`."""
    picture = Image.fromarray(context.source(source))
    folder = describe(settings.model).folder
    embedding = _seen(picture, folder)
    found: dict[str, Likeness] = {}
    for done, digest in enumerate(digests, start=1):
        other = _picture(context.store, digest)
        other_embedding = None if embedding is None else _seen(other, folder)
        found[digest] = _compared(picture, other, embedding, other_embedding)
        yield done, len(digests)
    return found


def spaced_evenly(
    places: Sequence[float], steps: Sequence[float], *, decimals: int = 5
) -> list[float]:
    """Return as many places as there are, at equal distances along the way.

    `steps` are the distances from each place to the next; a way that closes on itself has one
    more, back to the first place, which then stands at 1. Between two places the way is taken
    for straight. A way without any length stays as it is.
    """
    closes = len(steps) == len(places)
    at = [*places, 1.0] if closes else list(places)
    travelled = np.concatenate([[0.0], np.cumsum(np.asarray(steps, dtype=np.float64))])
    if travelled[-1] <= 0:
        return list(places)
    wanted = np.linspace(0, travelled[-1], len(at))
    # Standing still between two frames would give two places one distance.
    rising = travelled + np.arange(len(at)) * travelled[-1] * 1e-12
    found = [round(float(value), decimals) for value in np.interp(wanted, rising, at)]
    found[0] = places[0]
    if not closes:
        found[-1] = places[-1]
    return found[: len(places)]


def evenness(steps: Sequence[float]) -> float:
    """The longest step over the mean step: 1 where all are alike."""
    mean = sum(steps) / len(steps) if steps else 0.0
    return max(steps) / mean if mean > 0 else 1.0


def way(digests: Sequence[str], *, closes: bool) -> list[Pair]:
    """Each frame with the next; the last with the first where the way closes on itself."""
    found = list(pairwise(digests))
    return [*found, (digests[-1], digests[0])] if closes and len(digests) > 1 else found


def _seen(picture: Image.Image, model_folder: Path | None) -> np.ndarray | None:
    return None if model_folder is None else clip_image_embedding(picture, model_folder)


def _compared(
    one: Image.Image,
    other: Image.Image,
    embedding: np.ndarray | None,
    other_embedding: np.ndarray | None,
) -> Likeness:
    cosine: float | None = None
    if embedding is not None and other_embedding is not None:
        cosine = float(embedding @ other_embedding)
    return Likeness(
        rmse=rmse(one, other),
        ssim=ssim(one, other) if min(one.size) >= SMALLEST_SIDE else None,
        clip=cosine,
    )


def _picture(store: Store, digest: str) -> Image.Image:
    try:
        data = store.image_bytes(digest)
    except StoreError as error:
        raise TaskError(str(error)) from error
    return Image.open(io.BytesIO(data)).convert("RGB")
