"""Measuring stored pictures once: the task, and what is kept of it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.diffusion.models.load import ModelError, ModelInfo, describe
from core.diffusion.settings import GenerationSettings
from core.output.numbers.cell_numbers import measure_picture
from core.output.numbers.metrics import clip_image_embedding, clip_name
from core.output.numbers.quantities import QUANTITIES
from core.runs.store.measured.kept import KeptMeasures, Measured, Pair
from core.runs.store.store import Store, StoreError
from core.runs.worker.tasks.work import TaskContext, Work
from core.sweeps.work import runs_of

VERSIONS = {quantity.name: quantity.version for quantity in QUANTITIES.values()}
KEPT_AT_ONCE = 32
"""Pictures whose values are written together: a task that is stopped loses no more."""

PIXELS_SIDE = 32
PIXELS = f"pixels {PIXELS_SIDE}"
"""How `pixels_of` is called where it is kept beside what CLIP sees."""

_ALONE = [q for q in QUANTITIES.values() if q.needs in ("picture", "steps")]
_IN_PAIRS = [q for q in QUANTITIES.values() if q.needs == "pair"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What is known of some pictures: each one's own values, those of pairs, what CLIP sees, and
    their `pixels_of`.

    `lacking` and `lacking_pairs` were not measured yet, `unseen` not looked at by the CLIP, which
    is None where there is none.
    """

    values: Mapping[str, Mapping[str, float | None]]
    pairs: Mapping[Pair, Mapping[str, float | None]]
    embeddings: Mapping[str, np.ndarray]
    pixels: Mapping[str, np.ndarray]
    clip: str | None
    lacking: tuple[str, ...]
    lacking_pairs: tuple[Pair, ...]
    unseen: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not (self.lacking or self.lacking_pairs or self.unseen)

    def of_pair(self, digest: str, other: str) -> dict[str, float | None]:
        """The values of a picture against another."""
        one, two = self.embeddings.get(digest), self.embeddings.get(other)
        cosine = None if one is None or two is None else float(one @ two)
        seen = {name: cosine for name, row in QUANTITIES.items() if row.needs == "seen"}
        return {**self.pairs.get((digest, other), {}), **seen}


def known_of(
    store: Store, digests: Sequence[str], pairs: Sequence[Pair] = (), *, model: str = ""
) -> Known:
    """What was measured of stored pictures, with the CLIP of `model`, "" for none. Measures
    nothing.
    """
    kept, folder = KeptMeasures(store.database), _folder(model)
    clip = clip_name(folder) if folder else None
    values = kept.of_runs(digests)
    measured = kept.of_pictures(digests, VERSIONS)
    for digest, found in measured.items():
        values.setdefault(digest, {}).update(found)
    of_pairs = kept.of_pairs(pairs, VERSIONS)
    embeddings = kept.seen(digests, clip) if clip else {}
    pixels = kept.seen(digests, PIXELS)
    return Known(
        values=values,
        pairs=of_pairs,
        embeddings=embeddings,
        pixels=pixels,
        clip=clip,
        lacking=tuple(
            digest
            for digest in dict.fromkeys(digests)
            if digest not in pixels
            or any(quantity.name not in measured.get(digest, {}) for quantity in _ALONE)
        ),
        lacking_pairs=tuple(
            pair
            for pair in dict.fromkeys(pairs)
            if any(quantity.name not in of_pairs.get(pair, {}) for quantity in _IN_PAIRS)
        ),
        unseen=tuple(d for d in dict.fromkeys(digests) if d not in embeddings) if clip else (),
    )


def measure_cells(
    context: TaskContext,
    settings: GenerationSettings,
    digests: Sequence[str],
    pairs: Sequence[Sequence[str]] = (),
    unseen: Sequence[str] = (),
    stamp: str = "",
) -> Work:
    """A task: measure stored pictures and keep what is found; the number of pictures measured.

    `pairs` are two digests each, and `unseen` are shown to the CLIP of the settings' model. Another
    `stamp` is another task: the same pictures may have been deleted and computed again.
    """
    asked = [(one, other) for one, other in pairs]
    yield from measuring(
        context.store, digests, asked, unseen=unseen, model=settings.model if unseen else ""
    )
    return len(digests) + len(asked) + len(unseen)


def measure_missing(
    store: Store, digests: Sequence[str], pairs: Sequence[Pair] = (), *, model: str = ""
) -> Known:
    """What `known_of` gives, with what was lacking measured first."""
    known = known_of(store, digests, pairs, model=model)
    if known.is_whole:
        return known
    for _ in measuring(store, known.lacking, known.lacking_pairs, unseen=known.unseen, model=model):
        pass
    return known_of(store, digests, pairs, model=model)


def measuring(
    store: Store,
    digests: Sequence[str],
    pairs: Sequence[Pair] = (),
    *,
    unseen: Sequence[str] = (),
    model: str = "",
) -> Iterator[tuple[int, int]]:
    """Measure and keep, picture by picture: yields (done, total). What a file that is gone or
    damaged would give is left out; the store then takes its picture for missing.
    """
    kept, folder = KeptMeasures(store.database), _folder(model)
    clip = clip_name(folder) if folder else None
    by_one: dict[str, list[str]] = {}
    for one, other in pairs:
        by_one.setdefault(other, []).append(one)
    total = len(digests) + len(pairs) + len(unseen)
    done = 0
    found: list[Measured] = []
    embeddings: dict[str, np.ndarray] = {}
    pixels: dict[str, np.ndarray] = {}

    def keep() -> None:
        kept.keep(found)
        kept.keep_seen(PIXELS, pixels)
        if clip:
            kept.keep_seen(clip, embeddings)
        for one in (found, embeddings, pixels):
            one.clear()

    wanted, to_see = set(digests), set(unseen) if clip else set[str]()
    for digest in dict.fromkeys((*digests, *unseen)):
        picture = _picture(store, digest)
        if picture is not None and digest in wanted:
            found += _measured(digest, {**measure_picture(picture), **_of_steps(store, digest)})
            pixels[digest] = pixels_of(picture)
        if picture is not None and folder is not None and digest in to_see:
            embedding = clip_image_embedding(picture, folder)
            if embedding is not None:
                embeddings[digest] = embedding
        done += (digest in wanted) + (digest in to_see)
        if done % KEPT_AT_ONCE == 0:
            keep()
        yield done, total
    for other, ones in by_one.items():
        reference = _picture(store, other)
        for one in ones:
            picture = _picture(store, one)
            if picture is not None and reference is not None:
                found += _measured(one, measure_picture(picture, reference), other)
            done += 1
            if done % KEPT_AT_ONCE == 0:
                keep()
            yield done, total
    keep()


def pixels_of(picture: Image.Image) -> np.ndarray:
    """The picture's RGB values at 32 x 32 pixels, each the mean of what it covers, (3072,) float32:
    the Euclidean distance of two is the RMSE of the small pictures, 0 to 255.
    """
    small = picture.resize((PIXELS_SIDE, PIXELS_SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32).ravel()
    return values / np.float32(np.sqrt(values.size))


def unet_rows(images: Iterable[GenerationSettings]) -> dict[GenerationSettings, int]:
    """The UNet rows of each picture by itself, without those of a model that is not here."""
    found: dict[GenerationSettings, int] = {}
    infos: dict[str, ModelInfo] = {}
    for settings in images:
        if settings.model not in infos:
            with suppress(ModelError):
                infos[settings.model] = describe(settings.model)
        if settings not in found and settings.model in infos:
            found[settings] = sum(rows for _, rows in runs_of([settings], infos))
    return found


def _measured(digest: str, values: Mapping[str, float | None], other: str = "") -> list[Measured]:
    return [
        Measured(digest=digest, other=other, name=name, version=VERSIONS[name], value=value)
        for name, value in values.items()
    ]


def _of_steps(store: Store, digest: str) -> dict[str, float | None]:
    """None of each where no steps were recorded, or not so that they can be read."""
    trajectory = None
    with suppress(StoreError):
        trajectory = store.trajectory(digest)
    return {
        quantity.name: None if trajectory is None else quantity.of_steps(trajectory)
        for quantity in QUANTITIES.values()
        if quantity.of_steps is not None
    }


def _folder(model: str) -> Path | None:
    try:
        return describe(model).folder if model else None
    except ModelError:
        return None


def _picture(store: Store, digest: str) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(store.image_bytes(digest))).convert("RGB")
    except (StoreError, OSError, ValueError, SyntaxError):
        return None
