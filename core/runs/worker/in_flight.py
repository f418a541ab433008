"""InFlight: the images in the engine, from a waiting cell to its picture in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import PIL.Image

from core.diffusion.events import Event, Failed, Finished, Generation, Record, Request, Started
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.images import InputError
from core.diffusion.settings import SettingsError
from core.runs.store.store import RECORD_LEVELS, Store, StoreError
from core.runs.worker.dispatch import Dispatch
from core.runs.worker.encoding import Encoded, Encoding
from core.runs.worker.failures import Failures, unexpected
from core.runs.worker.model.slot import ModelSlot
from core.runs.worker.model.source import ModelSource
from core.runs.worker.progress import Progress
from core.runs.worker.stopped import Stopped
from core.runs.worker.vitals import Pulse
from core.runs.worker.waiting import Waiting

log = logging.getLogger(__name__)

CRASHES_BEFORE_ALONE = 2
"""A cell that was in flight in so many crashes runs alone, so that no other is blamed."""

ROWS_FOR_SMALL_JOBS = 4
"""UNet rows of small jobs beyond those that go together, so that a single image never waits for a
cell of a large one.
"""

WAIT_SECONDS = 0.05
"""How long to wait for a file at a time."""

Outcome = Literal["settled", "pass over", "full"]
"""Of a waiting cell: nothing is left to do, its owner's others wait too, or so do all."""


@dataclass(frozen=True, kw_only=True)
class _Flight:
    """One image in the engine, on behalf of every running cell of its digest."""

    record: Record
    is_small: bool
    is_alone: bool


class InFlight:
    """Images by digest; for the worker's thread. Raises StoreError, after which `put_back`."""

    def __init__(
        self, store: Store, dispatch: Dispatch, models: ModelSource, slot: ModelSlot
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._models = models
        self._slot = slot
        self.pulse = Pulse()
        self._progress = Progress(dispatch)
        self._failures = Failures(dispatch)
        self._encoding = Encoding(self._scored)
        self.stopped = Stopped(dispatch, slot)
        self._flights: dict[str, _Flight] = {}
        self._wanted: dict[str, set[str]] = {}
        """Digest -> the jobs that want it."""
        self._watched: dict[str, float] = {}
        """Job -> until when (Unix seconds) someone looks at it."""

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def is_encoding(self) -> bool:
        """Return whether pictures are on their way to the store."""
        return bool(self._encoding)

    @property
    def has_one_alone(self) -> bool:
        return any(flight.is_alone for flight in self._flights.values())

    @property
    def has_large(self) -> bool:
        """Return whether an image of a large job is in the engine."""
        return any(not flight.is_small for flight in self._flights.values())

    def follow(self, wanted: Mapping[str, set[str]], watched: Mapping[str, float]) -> None:
        """Drop what was cancelled, and learn who looks at what."""
        before, self._wanted, self._watched = self._wanted, dict(wanted), dict(watched)
        for digest in [digest for digest in self._flights if digest not in self._wanted]:
            self.stopped.add(digest, before.get(digest, set()))
            self._slot.engine.drop(digest)
            self._forget(digest)

    def prepare_score(self) -> None:
        """Load the network that scores the model's images, before anyone asks for one."""
        self._encoding.prepare(self._slot.info)

    def put_back(self) -> None:
        """Forget what is in flight, keep what is finished, and write down what failed."""
        while self._encoding:
            self.keep_encoded(wait=WAIT_SECONDS)
        self.stopped.clear()
        if self._flights:
            self._forget_engine()
        self._failures.write()

    def write_progress(self) -> None:
        self._progress.write({job_id for jobs in self._wanted.values() for job_id in jobs})

    def fail_all(self, error: Exception) -> None:
        """Fail what is in flight for an error that nobody foresaw, once `put_back` can."""
        self._failures.remember(self._flights, error)

    def begin(self, cell: Waiting, serve: Callable[[str], None]) -> Outcome:
        """Put one cell in flight, or finish it where nothing is left to do. `serve` is told the
        owner of one that takes a place.
        """
        try:
            engine = self._slot.engine
            digest = cell.digest(self._slot.info.fingerprint)
        except ValueError as error:
            self._dispatch.fail_cell(cell, f"These settings cannot be run: {error}")
            return "settled"
        except Exception as error:
            log.exception("The engine could not be made")
            self._dispatch.fail_cell(cell, unexpected(error))
            return "settled"
        if flight := self._flights.get(digest) or self._encoding.get(digest):
            if RECORD_LEVELS[flight.record] < RECORD_LEVELS[cell.record]:
                return "pass over"
            if self._dispatch.claim(cell, digest):
                self._wanted.setdefault(digest, set()).add(cell.job_id)
                self._progress.admitted(cell.job_id)
            return "settled"
        if self._store.holds([digest], cell.record):
            self._dispatch.complete_cell(cell, digest)
            return "settled"
        is_alone = cell.crashes >= CRASHES_BEFORE_ALONE
        if is_alone and self._flights:
            return "full"
        beyond = ROWS_FOR_SMALL_JOBS if cell.is_small and self.has_large else 0
        if not engine.has_room(cell.settings, beyond=beyond):
            return "full" if cell.is_small else "pass over"
        if not self._dispatch.claim(cell, digest):
            return "settled"
        self._progress.admitted(cell.job_id)
        try:
            engine.admit(
                Request(
                    key=digest,
                    settings=cell.settings,
                    strict=cell.strict,
                    record=cell.record,
                    is_valid=cell.planned is not None and cell.planned.digest == digest,
                )
            )
        except (SettingsError, InputError, StoreError) as error:
            self._failures.fail(digest, str(error))
            return "settled"
        except Exception as error:
            log.exception("The engine refused a cell")
            self._failures.fail(digest, unexpected(error))
            return "settled"
        self._flights[digest] = _Flight(
            record=cell.record,
            is_small=cell.is_small,
            is_alone=is_alone,
        )
        self._wanted[digest] = {cell.job_id}
        serve(cell.owner)
        return "full" if is_alone else "settled"

    def step(self) -> bool:
        """One denoising step of all in flight; True when a place became free."""
        in_flight = {digest: self._wanted.get(digest, set()) for digest in self._flights}
        chosen = self._progress.choose_previews(in_flight, self._watched)
        before = len(self._flights)
        try:
            events = self._slot.engine.step(chosen.__contains__ if chosen else None)
            if not events:
                raise RuntimeError("the engine has lost its cells")
        except Exception as error:
            log.exception("The engine failed in a step")
            self.fail_all(error)
            self._forget_engine()
            self._failures.write()
            return True
        self.pulse.stepped(rows=self._slot.engine.rows_of_step, cells=before)
        for event in events:
            if event.key in self._flights:
                self._handle(event)
        return len(self._flights) < before

    def _handle(self, event: Event) -> None:
        digest, jobs = event.key, self._wanted.get(event.key, set())
        if isinstance(event, Started):
            self._progress.started(digest, event.total)
        elif isinstance(event, Finished):
            self._finish(digest, event.generation)
        elif isinstance(event, Failed):
            self._forget(digest)
            self._failures.fail(digest, event.reason)
        else:
            self._progress.stepped(digest, jobs, event.step, event.total, event.preview)

    def _finish(self, digest: str, generation: Generation) -> None:
        """Compressing a large PNG takes as long as some steps: another thread does it."""
        record = self._flights.pop(digest).record
        self._encoding.add(digest, generation, self._slot.info, record)
        while self._encoding.is_full:
            self.keep_encoded(wait=WAIT_SECONDS)

    def keep_encoded(self, *, wait: float) -> bool:
        """Store the pictures whose file is there, or is in so many seconds. True where any is."""
        encoded = self._encoding.take(wait=wait)
        for digest, one in encoded:
            self._keep(digest, one)
        return bool(encoded)

    def _keep(self, digest: str, one: Encoded) -> None:
        self._forget(digest)
        generation = one.generation
        try:
            png, score = one.file.result()
            self._store.put(generation, one.model, clip_score=score, png=png, digest=digest)
        except StoreError as error:
            self._failures.fail(digest, str(error))
        except Exception as error:
            log.exception("An image could not be stored")
            self._failures.fail(digest, unexpected(error))
        else:
            self._dispatch.complete(digest, one.record)

    def _scored(self, image: PIL.Image.Image, prompt: str, model: ModelInfo) -> float | None:
        """Score in the encoding's thread. A picture is worth keeping without its score."""
        try:
            return self._models.score(image, prompt, model.folder)
        except Exception:
            log.exception("The CLIP score could not be computed")
            return None

    def _forget(self, digest: str) -> None:
        self._flights.pop(digest, None)
        self._wanted.pop(digest, None)
        self._progress.forget(digest)

    def _forget_engine(self) -> None:
        """Forget the engine: after an error nobody knows what it still holds: the next cell gets
        a new one.
        """
        for digest in list(self._flights):
            self._forget(digest)
        self._slot.forget_engine()
