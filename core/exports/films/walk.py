"""WalkFilm: stored pictures one after another as a film that loops, and the task that makes it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.exports.films.kept import as_task_errors, kept_films, write_kept
from core.output.film.film import FilmFormat, playback
from core.runs.store.store import Store
from core.runs.worker.tasks.work import TaskContext, Work

VERSION = 1
"""Raised when the same film would be drawn in another way, so that no kept file is mistaken."""


@dataclass(frozen=True, kw_only=True)
class WalkFilm:
    """The stored pictures of `digests`, one a frame, `fps` frames a second."""

    digests: tuple[str, ...]
    format: FilmFormat
    fps: int
    there_and_back: bool

    @property
    def name(self) -> str:
        """The file's name: a digest of all that determines it."""
        text = json.dumps(["walk", VERSION, asdict(self)], sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.{self.format}"

    def find(self, store: Store) -> Path | None:
        """The file, where it was made before and is still kept."""
        return kept_films(store).find(self.name)


def make_walk_film(
    context: TaskContext,
    settings: GenerationSettings,
    digests: Sequence[str],
    format: FilmFormat,
    fps: int,
    there_and_back: bool,
) -> Work:
    """A task: write a WalkFilm to the films' folder. Its result is the file's name."""
    film = WalkFilm(digests=tuple(digests), format=format, fps=fps, there_and_back=there_and_back)
    order = playback(len(digests), there_and_back=there_and_back)
    with as_task_errors():
        frames = _frames(context.store, [digests[index] for index in order])
        return (yield from write_kept(context.store, film.name, frames, len(order), format, fps))


def _frames(store: Store, digests: Sequence[str]) -> Iterator[np.ndarray]:
    """The pixels of each picture, uint8 (H, W, 3). Raises StoreError."""
    for digest in digests:
        with Image.open(io.BytesIO(store.image_bytes(digest))) as image:
            yield np.asarray(image.convert("RGB"))


def walk_arguments(film: WalkFilm) -> dict[str, Any]:
    """What `make_walk_film` needs to make this film, as JSON."""
    return asdict(film) | {"digests": list(film.digests)}
