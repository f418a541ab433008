"""Runner: what the worker does next: which model, which cells, which task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from core.diffusion.models.load import ModelError
from core.diffusion.named_files import walked_once
from core.runs.queue.bookkeeping import SMALL_JOB_CELLS
from core.runs.store.store import Store
from core.runs.worker.dispatch import Dispatch
from core.runs.worker.in_flight import InFlight, Outcome
from core.runs.worker.model.arrivals import Arrivals
from core.runs.worker.model.slot import ModelSlot
from core.runs.worker.model.source import ModelSource, is_elsewhere_safely
from core.runs.worker.suspects import Suspects
from core.runs.worker.tasks.runner import TaskRunner
from core.runs.worker.turns import Turns, share_batch
from core.runs.worker.vitals import Pulse
from core.runs.worker.waiting import BatchKey, Waiting

WAIT_SECONDS = 0.05
"""How long the worker waits for a file at a time: then it looks for news."""


class Runner:
    """One thread's work: `tick` again and again. Raises StoreError, after which `put_back`."""

    def __init__(
        self,
        store: Store,
        dispatch: Dispatch,
        models: ModelSource,
        tasks: TaskRunner,
        say: Callable[[Literal["loading", "idle", "busy"], str], None],
    ) -> None:
        self._dispatch = dispatch
        self._max_rows = models.max_rows
        self._tasks = tasks
        self._say = say
        self._turns = Turns()
        self.slot = ModelSlot(models)
        self.arrivals = Arrivals(models.fetch, partial(is_elsewhere_safely, models))
        self.suspects = Suspects(dispatch)
        self._batch: BatchKey | None = None
        self._in_flight = InFlight(store, dispatch, models, self.slot)
        self._seen_change = -1
        self._load_error = ""

    def tick(self) -> bool:
        """Looks for news, begins what fits, runs one denoising step and a piece of a task.

        False when idle.
        """
        self.suspects.clear()
        self._follow_arrivals()
        change = self._dispatch.changes()
        if change != self._seen_change:
            self._in_flight.follow(self._dispatch.running(), self._dispatch.watched())
            self._tasks.follow()
            self._admit()
            self._seen_change = change
        self._in_flight.stopped.keep_one()
        has_task = self._advance_task()
        is_at_rest = not self._in_flight and not has_task
        is_kept = self._in_flight.keep_encoded(wait=WAIT_SECONDS if is_at_rest else 0.0)
        if is_kept or (has_task and not self._in_flight):
            self._admit()
        if not self._in_flight:
            if self._in_flight.is_encoding or self._in_flight.stopped:
                return True
            self.pulse.rest()
            if not has_task and self.arrivals:
                self._say("loading", str(self.arrivals))
            elif not has_task:
                self._say("idle", "" if self.slot.model else self._load_error)
            return has_task
        self._say("busy", str(self.arrivals))
        if self._in_flight.step():
            self._admit()
        self._in_flight.write_progress()
        return True

    @property
    def pulse(self) -> Pulse:
        return self._in_flight.pulse

    def _advance_task(self) -> bool:
        """A piece of the task in hand, unless it needs another model than the batch does."""
        source = self._waiting_task()
        if source is None:
            return False
        if not self.slot.holds(self.slot.fingerprint(source)):
            if self._in_flight:
                return False
            if not self._change_model(source):
                self._tasks.fail_next(self._load_error)
                return True
            self._turns.begin_batch()
        self._say("busy", str(self.arrivals))
        self._tasks.advance(self.slot)
        return True

    def _follow_arrivals(self) -> None:
        """Find the models from the hub that nobody wants any more, and those that can be loaded."""
        if not self.arrivals:
            return
        wanted = {key.model for key in self._dispatch.batch_keys()}
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
        self._in_flight.put_back()
        self._tasks.write_ends()
        self._dispatch.release()
        self._seen_change = -1

    def fail_in_flight(self, error: Exception) -> None:
        """Fails the cells in flight for an error that nobody foresaw, once `put_back` can."""
        self._in_flight.fail_all(error)

    def preload(self, source: str) -> None:
        """Load a model before anyone asks, and the network that scores its images."""
        if self._change_model(source):
            self._in_flight.prepare_score()

    def _change_model(self, source: str) -> bool:
        """Make `source` the one model in memory; where that fails, so do its waiting cells."""
        self._say("loading", f"Loading {source}")
        self._tasks.restart()
        self._load_error = self.slot.load(source)
        if self._load_error:
            self._dispatch.fail_model(source, self._load_error)
        return not self._load_error

    def _admit(self) -> None:
        """Begins waiting cells until there is no room, or the batch has to run empty."""
        while keys := [key for key in self._dispatch.batch_keys() if self._is_here(key.model)]:
            if self._in_flight.has_one_alone:
                return
            if self._gives_way():
                return
            prints = {key.model: self._print_of(key.model) for key in keys}
            self._begin_small(keys, prints)
            key = self._choose_batch(keys, prints)
            if key is None:
                return
            if not self.slot.holds(prints[key.model]) and not self._change_model(key.model):
                continue
            self._batch = key
            together = [
                other
                for other in keys
                if share_batch(key, other) and prints[other.model] == prints[key.model]
            ]
            waiting = self._dispatch.waiting(together, per_owner=self._max_rows)
            outcomes = self._begin_all(waiting)
            if "full" in outcomes or outcomes == {"pass over"}:
                return

    def _begin_small(self, keys: Sequence[BatchKey], prints: Mapping[str, str]) -> None:
        """Let small jobs of any size and LoRA join the cells in flight at their next step, unless
        another model has waited its turn.
        """
        held = [key for key in keys if self.slot.holds(prints[key.model])]
        is_due = len(held) < len(keys) and self._is_turn_over()
        if not self._in_flight or not held or is_due:
            return
        waiting = self._dispatch.waiting(held, per_owner=SMALL_JOB_CELLS)
        self._begin_all([cell for cell in waiting if cell.is_small])

    def _begin_all(self, waiting: Sequence[Waiting]) -> set[Outcome]:
        """Begin cells, owner by owner, until there is no room; the model roots are searched for
        LoRAs once for all of them.
        """
        outcomes: set[Outcome] = set()
        with walked_once():
            for cell in self._turns.order(waiting):
                with self.suspects.over(cell):
                    outcome = self._in_flight.begin(cell, self._turns.serve)
                outcomes.add(outcome)
                if outcome == "full":
                    break
                if outcome == "pass over":
                    self._turns.pass_over(cell.owner)
        return outcomes

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

    def _choose_batch(self, keys: list[BatchKey], prints: dict[str, str]) -> BatchKey | None:
        """Return where to take cells from; None to let the large jobs in flight end first."""
        here: list[BatchKey] = []
        elsewhere: list[BatchKey] = []
        for key in keys:
            shares = self._batch is not None and share_batch(key, self._batch)
            is_here = shares and self.slot.holds(prints[key.model])
            (here if is_here else elsewhere).append(key)
        held = [key for key in elsewhere if self.slot.holds(prints[key.model])]
        if here and not (
            elsewhere
            and self._turns.is_over(is_same_model=bool(held), load_seconds=self.slot.load_seconds)
        ):
            return here[0]
        is_another_due = bool(self._in_flight) and len(held) < len(elsewhere)
        if self._in_flight.has_large or (is_another_due and self._is_turn_over()):
            return None
        if self._in_flight or (self._has_task_here() and not self._is_turn_over()):
            elsewhere = held
            if not elsewhere:
                return None
        if not is_another_due:  # another model's turn comes, whatever begins beside these
            self._turns.begin_batch()
        first = next(self._turns.order(self._dispatch.waiting(elsewhere, per_owner=1)), None)
        return first.batch_key if first else None
