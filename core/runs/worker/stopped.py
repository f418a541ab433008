"""Stopped: the last predictions of images that were cancelled on their way, decoded one by one."""

from __future__ import annotations

import io
import logging
from collections import deque
from dataclasses import dataclass

from core.diffusion.events import Prediction
from core.runs.worker.dispatch import Dispatch
from core.runs.worker.model.slot import ModelSlot

log = logging.getLogger(__name__)

MOST_WAITING = 64
"""Of as many the predicted x0 is kept until its turn comes; further ones are not shown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    digest: str
    jobs: frozenset[str]
    prediction: Prediction
    fingerprint: str


class Stopped:
    """What waits to be decoded; for the worker's thread. Raises StoreError."""

    def __init__(self, dispatch: Dispatch, slot: ModelSlot) -> None:
        self._dispatch = dispatch
        self._slot = slot
        self._waiting: deque[_Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, digest: str, jobs: set[str]) -> None:
        """Take an image that is still in the engine, before it is dropped there."""
        prediction = self._slot.engine.prediction(digest)
        if prediction is not None and len(self._waiting) < MOST_WAITING:
            self._waiting.append(
                _Waiting(
                    digest=digest,
                    jobs=frozenset(jobs),
                    prediction=prediction,
                    fingerprint=self._slot.info.fingerprint,
                )
            )

    def keep_one(self) -> None:
        """Decode the next one and write it down; between two of them the batch makes a step."""
        if not self._waiting:
            return
        one = self._waiting.popleft()
        if not self._slot.holds(one.fingerprint):
            return  # its model has gone, and nothing else can decode it
        try:
            what = one.prediction
            image = self._slot.engine.decode(what.latents, what.overlay, what.vae)
        except Exception:
            log.warning("A stopped image could not be decoded", exc_info=True)
            return
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        step, total = one.prediction.step, one.prediction.total
        self._dispatch.keep_stopped(one.digest, one.jobs, step, total, buffer.getvalue())

    def clear(self) -> None:
        self._waiting.clear()
