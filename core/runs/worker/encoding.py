"""Encoding: finished images on their way to the store, whose PNGs another thread compresses."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from core.diffusion.events import Generation, Record
from core.diffusion.models.load import ModelInfo
from core.diffusion.sampling.threads import Lanes
from core.output.texts.infotext import write_png

MOST = 8
"""Pictures that may wait for their PNG: beyond, the engine waits for the first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """A finished image; `png` raises what compressing it raised."""

    generation: Generation
    model: ModelInfo
    record: Record
    png: Future[bytes]


class Encoding:
    """By digest, in the order in which they ended. For one thread."""

    def __init__(self) -> None:
        self._lane = Lanes(1, "lightbox-png")
        self._images: dict[str, Encoded] = {}

    def __len__(self) -> int:
        return len(self._images)

    @property
    def is_full(self) -> bool:
        return len(self._images) > MOST

    def get(self, digest: str) -> Encoded | None:
        return self._images.get(digest)

    def add(self, digest: str, generation: Generation, model: ModelInfo, record: Record) -> None:
        png = self._lane.submit(
            write_png, generation.image, generation.settings, model, generation.computed
        )
        self._images[digest] = Encoded(generation=generation, model=model, record=record, png=png)

    def take(self, *, wait: bool) -> list[tuple[str, Encoded]]:
        """Those whose PNG is there, which then are this object's no more; where there are none
        and it is told to `wait`, the first.
        """
        ready = [digest for digest, one in self._images.items() if one.png.done()]
        ready = ready or list(self._images)[: int(wait)]
        return [(digest, self._images.pop(digest)) for digest in ready]
