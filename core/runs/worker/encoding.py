"""Encoding: finished images on their way to the store: another thread compresses and scores them.

A picture is stored once, with its CLIP score: a row never says that there is none yet.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass

import PIL.Image

from core.diffusion.events import Generation, Record
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.prompt.texts import last_words
from core.diffusion.recipe.schedule import step_range
from core.diffusion.sampling.compute.threads import Threads
from core.output.texts.infotext import write_png

Score = Callable[[PIL.Image.Image, str, ModelInfo], float | None]

MOST = 8
"""Pictures that may wait for their file: beyond, the engine waits for the first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """A finished image; `file` has its PNG and its CLIP score, and raises what the PNG raised."""

    generation: Generation
    model: ModelInfo
    record: Record
    file: Future[tuple[bytes, float | None]]


class Encoding:
    """Pictures being encoded, by digest, in the order in which they ended. For one thread."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._thread = Threads(1, "lightbox-encoding")
        self._images: dict[str, Encoded] = {}

    def __len__(self) -> int:
        return len(self._images)

    @property
    def is_full(self) -> bool:
        return len(self._images) > MOST

    def get(self, digest: str) -> Encoded | None:
        return self._images.get(digest)

    def add(self, digest: str, generation: Generation, model: ModelInfo, record: Record) -> None:
        file = self._thread.submit(self._encode, generation, model)
        self._images[digest] = Encoded(generation=generation, model=model, record=record, file=file)

    def prepare(self, model: ModelInfo) -> None:
        """Load the network that scores this model's images, before anyone asks for one."""
        self._thread.submit(self._score, PIL.Image.new("RGB", (64, 64)), "a picture", model)

    def _encode(self, generation: Generation, model: ModelInfo) -> tuple[bytes, float | None]:
        settings = generation.settings
        png = write_png(generation.image, settings, model, generation.computed)
        words = last_words(settings, step_range(settings).num_executed_steps)
        return png, self._score(generation.image, words, model)

    def take(self, *, wait: float = 0.0) -> list[tuple[str, Encoded]]:
        """Those whose file is there, which then are this object's no more; where there are none,
        what the next `wait` seconds bring of the first.
        """
        if wait and self._images and not any(one.file.done() for one in self._images.values()):
            futures.wait([next(iter(self._images.values())).file], timeout=wait)
        ready = [digest for digest, one in self._images.items() if one.file.done()]
        return [(digest, self._images.pop(digest)) for digest in ready]
