"""Runner: cells from the tables into the engine, and what comes out of it into the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import PIL.Image

from core.diffusion.events import (
    Event,
    Failed,
    Finished,
    Generation,
    Record,
    Request,
    Started,
)
from core.diffusion.models.load import ModelError, ModelInfo
from core.diffusion.recipe.images import InputError
from core.diffusion.settings import GenerationSettings, SettingsError
from core.runs.store.store import RECORD_LEVELS, Store, StoreError
from core.runs.worker.dispatch import Dispatch, Lane, Waiting
from core.runs.worker.encoding import Encoded, Encoding
from core.runs.worker.failures import Failures, unexpected
from core.runs.worker.model.arrivals import Arrivals
from core.runs.worker.model.slot import ModelSlot, Tools
from core.runs.worker.progress import Progress
from core.runs.worker.suspects import Suspects
from core.runs.worker.tasks.runner import TaskRunner
from core.runs.worker.turns import Turns, share_batch
from core.runs.worker.vitals import Pulse

log = logging.getLogger(__name__)

CRASHES_BEFORE_ALONE = 2
"""A cell that was in flight in so many crashes runs alone, so that no other is blamed."""

ROWS_FOR_SMALL_JOBS = 2
"""UNet rows that large jobs leave free, so that a single image never waits for one of theirs. Where
they would be more than a quarter of all, it waits for the first cell that ends.
"""

WAIT_SECONDS = 0.05
"""How long the worker waits for a file at a time: then it looks for news."""

_Outcome = Literal["settled", "pass over", "full"]


@dataclass(frozen=True, kw_only=True)
class _Flight:
    """One image in the engine, on behalf of every running cell of its digest."""

    rows: int
    record: Record
    is_alone: bool


class Runner:
    """One thread's work: `tick` again and again. Raises StoreError, after which `put_back`."""

    def __init__(
        self,
        store: Store,
        dispatch: Dispatch,
        tools: Tools,
        tasks: TaskRunner,
        say: Callable[[Literal["loading", "idle", "busy"], str], None],
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._tools = tools
        self._tasks = tasks
        self._say = say
        self._turns = Turns()
        self._progress = Progress(dispatch)
        self.slot = ModelSlot(tools)
        self.arrivals = Arrivals(tools.fetch, tools.is_elsewhere)
        self.pulse = Pulse()
        self.suspects = Suspects(dispatch)
        self._lane: Lane | None = None
        self._flights: dict[str, _Flight] = {}
        self._encoding = Encoding(self._scored)
        self._wanted: dict[str, set[str]] = {}
        self._watched: dict[str, float] = {}
        self._seen_change = -1
        self._failures = Failures(dispatch)
        self._load_error = ""

    def tick(self) -> bool:
        """Looks for news, begins what fits, runs one denoising step and a piece of a task.

        False when idle.
        """
        self.suspects.clear()
        self._follow_arrivals()
        change = self._dispatch.changes()
        if change != self._seen_change:
            self._follow_tables()
            self._tasks.follow()
            self._admit()
            self._seen_change = change
        has_task = self._advance_task()
        is_at_rest = not self._flights and not has_task
        is_kept = self._keep_encoded(wait=WAIT_SECONDS if is_at_rest else 0.0)
        if is_kept or (has_task and not self._flights):
            self._admit()
        if not self._flights:
            if self._encoding:
                return True
            self.pulse.rest()
            if not has_task and self.arrivals:
                self._say("loading", str(self.arrivals))
            elif not has_task:
                self._say("idle", "" if self.slot.model else self._load_error)
            return has_task
        self._say("busy", str(self.arrivals))
        if self._step():
            self._admit()
        self._progress.write({job_id for jobs in self._wanted.values() for job_id in jobs})
        return True

    def _advance_task(self) -> bool:
        """A piece of the task in hand, unless it needs another model than the batch does."""
        source = self._waiting_task()
        if source is None:
            return False
        if not self.slot.holds(self.slot.fingerprint(source)):
            if self._flights:
                return False
            if not self._change_model(source):
                self._tasks.fail_next(self._load_error)
                return True
            self._turns.begin_lane()
        self._say("busy", str(self.arrivals))
        self._tasks.advance(self.slot)
        return True

    def _follow_arrivals(self) -> None:
        """Find the models from the hub that nobody wants any more, and those that can be loaded."""
        if not self.arrivals:
            return
        wanted = {lane.model for lane in self._dispatch.lanes()}
        if (source := self._tasks.waiting()) is not None:
            wanted.add(source)
        if self.arrivals.follow(wanted):
            self._admit()

    def _is_here(self, source: str) -> bool:
        """Return whether a model can be loaded now; where it could not come, what waits for it
        fails.
        """
        try:
            with self.suspects.over(source):
                return not self.arrivals.is_awaited(source)
        except ModelError as error:
            self._load_error = str(error)
            self._dispatch.fail_model(source, self._load_error)
            if self._tasks.waiting() == source:
                self._tasks.fail_next(self._load_error)
            return False

    def _waiting_task(self) -> str | None:
        """The model that the next piece of a task needs, once it is here."""
        source = self._tasks.waiting()
        return source if source is not None and self._is_here(source) else None

    def put_back(self) -> None:
        """Lets the cells in flight wait again, and writes down what could not be said before.

        What is finished is kept.
        """
        while self._encoding:
            self._keep_encoded(wait=WAIT_SECONDS)
        if self._flights:
            self._forget_engine()
        self._failures.write()
        self._tasks.write_ends()
        self._dispatch.release()
        self._seen_change = -1

    def fail_in_flight(self, error: Exception) -> None:
        """Fails the cells in flight for an error that nobody foresaw, once `put_back` can."""
        self._failures.remember(self._flights, error)

    def preload(self, source: str) -> None:
        """Load a model before anyone asks, and the network that scores its images."""
        if self._change_model(source):
            self._encoding.prepare(self.slot.info)

    def _change_model(self, source: str) -> bool:
        """Make `source` the one model in memory; where that fails, so do its waiting cells."""
        self._say("loading", f"Loading {source}")
        self._tasks.restart()
        self._load_error = self.slot.load(source)
        if self._load_error:
            self._dispatch.fail_model(source, self._load_error)
        return not self._load_error

    def _follow_tables(self) -> None:
        """Drop what was cancelled, and learn who looks at what."""
        self._wanted = self._dispatch.running()
        self._watched = self._dispatch.watched()
        for digest in [digest for digest in self._flights if digest not in self._wanted]:
            self.slot.engine.drop(digest)
            self._land(digest)

    def _admit(self) -> None:
        """Begins waiting cells until there is no room, or the batch has to run empty."""
        while lanes := [lane for lane in self._dispatch.lanes() if self._is_here(lane.model)]:
            if any(flight.is_alone for flight in self._flights.values()):
                return
            if self._gives_way():
                return
            prints = {lane.model: self._print_of(lane.model) for lane in lanes}
            lane = self._choose_lane(lanes, prints)
            if lane is None:
                return
            if not self.slot.holds(prints[lane.model]) and not self._change_model(lane.model):
                continue
            self._lane = lane
            together = [
                other
                for other in lanes
                if share_batch(lane, other) and prints[other.model] == prints[lane.model]
            ]
            waiting = self._dispatch.waiting(together, per_owner=self._tools.max_rows)
            outcomes: set[_Outcome] = set()
            for cell in self._turns.order(waiting):
                with self.suspects.over(cell):
                    outcome = self._begin(cell) if self._leaves_room(cell) else "pass over"
                if outcome == "full":
                    return
                if outcome == "pass over":
                    self._turns.pass_over(cell.owner)
                outcomes.add(outcome)
            if outcomes == {"pass over"}:
                return

    def _print_of(self, source: str) -> str:
        with self.suspects.over(source):
            return self.slot.fingerprint(source)

    def _gives_way(self) -> bool:
        """Return whether no cell may begin, so that a task of another model comes to its turn."""
        is_elsewhere = self._waiting_task() is not None and not self._has_task_here()
        return is_elsewhere and self._is_turn_over()

    def _has_task_here(self) -> bool:
        source = self._waiting_task()
        return source is not None and self.slot.holds(self.slot.fingerprint(source))

    def _is_turn_over(self) -> bool:
        """Ask it of the model in memory, now that another one waits."""
        return self._turns.is_over(is_same_model=False, load_seconds=self.slot.load_seconds)

    def _choose_lane(self, lanes: list[Lane], prints: dict[str, str]) -> Lane | None:
        """Return where to take cells from; None to let the batch run empty first."""
        here: list[Lane] = []
        elsewhere: list[Lane] = []
        for lane in lanes:
            shares = self._lane is not None and share_batch(lane, self._lane)
            is_here = shares and self.slot.holds(prints[lane.model])
            (here if is_here else elsewhere).append(lane)
        is_same_model = any(self.slot.holds(prints[lane.model]) for lane in elsewhere)
        if here and not (
            elsewhere
            and self._turns.is_over(
                is_same_model=is_same_model, load_seconds=self.slot.load_seconds
            )
        ):
            return here[0]
        if self._flights:
            return None
        if self._has_task_here() and not self._is_turn_over():
            elsewhere = [lane for lane in elsewhere if self.slot.holds(prints[lane.model])]
            if not elsewhere:
                return None
        self._turns.begin_lane()
        first = next(self._turns.order(self._dispatch.waiting(elsewhere, per_owner=1)), None)
        return first.lane if first else None

    def _leaves_room(self, cell: Waiting) -> bool:
        """Large jobs leave rows for small ones, so that a single image joins the next step."""
        if cell.is_small or not self._flights:
            return True
        if self.slot.engine.rides_along(cell.settings):
            return True
        most = self.slot.engine.max_rows  # fewer than were asked for where memory is short
        kept = ROWS_FOR_SMALL_JOBS if most >= 4 * ROWS_FOR_SMALL_JOBS else 0
        rows = sum(flight.rows for flight in self._flights.values()) + self._rows(cell.settings)
        return rows + kept <= most

    def _begin(self, cell: Waiting) -> _Outcome:
        """Put one cell in flight, or finish it where nothing is left to do."""
        try:
            engine = self.slot.engine
            digest = cell.digest(self.slot.info.fingerprint)
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
        if (is_alone and self._flights) or not engine.has_room(cell.settings):
            return "full"
        if not self._dispatch.claim(cell, digest):
            return "settled"
        self._progress.admitted(cell.job_id)
        rides_along = engine.rides_along(cell.settings)
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
            rows=0 if rides_along else self._rows(cell.settings),
            record=cell.record,
            is_alone=is_alone,
        )
        self._wanted[digest] = {cell.job_id}
        self._turns.serve(cell.owner)
        return "full" if is_alone else "settled"

    def _step(self) -> bool:
        """One denoising step of all in flight; True when a place became free."""
        in_flight = {digest: self._wanted.get(digest, set()) for digest in self._flights}
        chosen = self._progress.choose_previews(in_flight, self._watched)
        before = len(self._flights)
        rows = sum(flight.rows for flight in self._flights.values())
        try:
            events = self.slot.engine.step(chosen.__contains__ if chosen else None)
            if not events:
                raise RuntimeError("the engine has lost its cells")
        except Exception as error:
            log.exception("The engine failed in a step")
            self.fail_in_flight(error)
            self._forget_engine()
            self._failures.write()
            return True
        self.pulse.stepped(rows=rows, cells=before)
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
            self._land(digest)
            self._failures.fail(digest, event.reason)
        else:
            self._progress.stepped(digest, jobs, event.step, event.total, event.preview)

    def _finish(self, digest: str, generation: Generation) -> None:
        """Compressing a large PNG takes as long as some steps: another thread does it."""
        record = self._flights.pop(digest).record
        self._encoding.add(digest, generation, self.slot.info, record)
        while self._encoding.is_full:
            self._keep_encoded(wait=WAIT_SECONDS)

    def _keep_encoded(self, *, wait: float) -> bool:
        """Store the pictures whose file is there, or is in so many seconds. True where any is."""
        encoded = self._encoding.take(wait=wait)
        for digest, one in encoded:
            self._keep(digest, one)
        return bool(encoded)

    def _keep(self, digest: str, one: Encoded) -> None:
        self._land(digest)
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

    def _rows(self, settings: GenerationSettings) -> int:
        return self.slot.info.family.rows(settings.uses_guidance)

    def _scored(self, image: PIL.Image.Image, prompt: str, model: ModelInfo) -> float | None:
        """Score in the encoding's thread. A picture is worth keeping without its score."""
        try:
            return self._tools.score(image, prompt, model.folder)
        except Exception:
            log.exception("The CLIP score could not be computed")
            return None

    def _land(self, digest: str) -> None:
        self._flights.pop(digest, None)
        self._wanted.pop(digest, None)
        self._progress.forget(digest)

    def _forget_engine(self) -> None:
        """Forget the engine: after an error nobody knows what it still holds: the next cell gets
        a new one.
        """
        for digest in list(self._flights):
            self._land(digest)
        self.slot.forget_engine()
