"""How far stored pictures lie from each other, and frames spaced evenly in that distance."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.output.numbers.metrics import clip_image_embedding, rmse, ssim
from core.runs.store.store import Store, StoreError
from core.runs.worker.tasks import TaskError, Work

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
    store: Store, pairs: Sequence[Pair], model_folder: Path | None = None
) -> Callable[[Any], Work]:
    """A task: the likeness of each pair of stored pictures, by their digests.

    CLIP is asked where `model_folder` is given. Each picture is read and seen once.
    """

    def work(model: Any) -> Work:
        pictures: dict[str, Image.Image] = {}
        seen: dict[str, np.ndarray | None] = {}
        total = len(pairs)
        found: dict[Pair, Likeness] = {}
        for done, pair in enumerate(pairs, start=1):
            for digest in pair:
                if digest not in pictures:
                    pictures[digest] = _picture(store, digest)
                    if model_folder is not None:
                        seen[digest] = clip_image_embedding(pictures[digest], model_folder)
            a, b = (pictures[digest] for digest in pair)
            one, other = (seen.get(digest) for digest in pair)
            found[pair] = Likeness(
                rmse=rmse(a, b),
                ssim=ssim(a, b) if min(a.size) >= SMALLEST_SIDE else None,
                clip=float(one @ other) if one is not None and other is not None else None,
            )
            yield done, total
        return found

    return work


def likeness_to(
    picture: Image.Image, store: Store, digests: Sequence[str], model_folder: Path
) -> Callable[[Any], Work]:
    """A task: digest -> likeness of each stored picture to `picture`, which need not be stored."""

    def work(model: Any) -> Work:
        seen = clip_image_embedding(picture, model_folder)
        found: dict[str, Likeness] = {}
        for done, digest in enumerate(digests, start=1):
            other = _picture(store, digest)
            embedding = None if seen is None else clip_image_embedding(other, model_folder)
            found[digest] = Likeness(
                rmse=rmse(picture, other),
                ssim=ssim(picture, other) if min(picture.size) >= SMALLEST_SIDE else None,
                clip=None if seen is None or embedding is None else float(seen @ embedding),
            )
            yield done, len(digests)
        return found

    return work


def pairs_key(pairs: Sequence[Pair]) -> str:
    """A short name for these pairs, by which their task is known."""
    return hashlib.sha256("\n".join(map(" ".join, pairs)).encode()).hexdigest()[:32]


def spaced_evenly(
    places: Sequence[float], steps: Sequence[float], *, decimals: int = 5
) -> list[float]:
    """As many places as there are, at equal distances along the way.

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


def _picture(store: Store, digest: str) -> Image.Image:
    try:
        data = store.image_bytes(digest)
    except StoreError as error:
        raise TaskError(str(error)) from error
    return Image.open(io.BytesIO(data)).convert("RGB")
