"""Jobs, cells and pictures against a model in memory, through any order of what can happen."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings as effort
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.dispatch import CRASHES_ALLOWED, Dispatch
from tests.core.runs.doubles import describe, generation, info, settings
from tests.faults.campaign import LONG, counted, tries

SEEDS = range(5)


@dataclass
class ModelCell:
    seed: int
    state: str = "pending"
    crashes: int = 0


class QueueStates(RuleBasedStateMachine):
    """Few seeds, so that jobs share pictures. The worker is played by `Dispatch` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name))
        self.queue = Queue(self.store, describe=describe)
        self.dispatch = Dispatch(self.store)
        self.jobs: dict[str, list[ModelCell]] = {}
        self.tokens: dict[tuple[str, str], str] = {}
        self.stored: set[int] = set()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @staticmethod
    def digest(seed: int) -> str:
        return settings(seed).digest(info().fingerprint)

    def cells(self, state: str, seed: int | None = None) -> list[ModelCell]:
        return [
            cell
            for job in self.jobs.values()
            for cell in job
            if cell.state == state and seed in (None, cell.seed)
        ]

    @rule(
        seeds=st.lists(st.sampled_from(SEEDS), min_size=1, max_size=6),
        owner=st.sampled_from(("ann", "bob")),
        token=st.sampled_from("abcdef"),
    )
    def submit(self, seeds: list[int], owner: str, token: str) -> None:
        wanted = [settings(seed) for seed in seeds]
        job_id = self.queue.submit(wanted, owner=owner, token=token)
        if (owner, token) in self.tokens:
            assert job_id == self.tokens[owner, token], "a click that arrives twice is one job"
            return
        self.tokens[owner, token] = job_id
        self.jobs[job_id] = [
            ModelCell(seed, "done" if seed in self.stored else "pending") for seed in seeds
        ]

    def draw_job(self, data: st.DataObject) -> str:
        """By its place: ids differ from run to run, and a failing run must come again."""
        return list(self.jobs)[data.draw(st.integers(0, len(self.jobs) - 1))]

    @precondition(lambda self: self.cells("pending"))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        """The worker begins one waiting cell, or finishes it where the picture is there."""
        waiting = self.dispatch.waiting(self.dispatch.batch_keys(), per_owner=1000)
        by_place = {(cell.job_id, cell.position): cell for cell in waiting}
        places = [
            (job_id, position)
            for job_id, job in self.jobs.items()
            for position, known in enumerate(job)
            if known.state == "pending"
        ]
        assert set(places) == by_place.keys()
        place = places[data.draw(st.integers(0, len(places) - 1))]
        cell, known = by_place[place], self.jobs[place[0]][place[1]]
        if cell.settings.seed in self.stored:
            self.dispatch.complete_cell(cell, self.digest(cell.settings.seed))
            known.state = "done"
        else:
            assert self.dispatch.claim(cell, self.digest(cell.settings.seed))
            known.state = "running"

    @precondition(lambda self: self.cells("running"))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(sorted({cell.seed for cell in self.cells("running")})))
        self.store.put(generation(settings(seed)), info())
        self.dispatch.complete(self.digest(seed), "norms")
        self.stored.add(seed)
        # A cell that waits knows its digest from when it was submitted.
        for cell in (*self.cells("running", seed), *self.cells("pending", seed)):
            cell.state = "done"

    @precondition(lambda self: self.cells("running"))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(sorted({cell.seed for cell in self.cells("running")})))
        self.dispatch.fail(self.digest(seed), "not finite")
        for cell in self.cells("running", seed):
            cell.state = "failed"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = self.draw_job(data)
        self.queue.cancel(job_id)
        for cell in self.jobs[job_id]:
            if cell.state in ("pending", "running"):
                cell.state = "cancelled"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job_id = self.draw_job(data)
        self.queue.retry_failed(job_id)
        for cell in self.jobs[job_id]:
            if cell.state == "failed":
                cell.state, cell.crashes = "pending", 0

    @rule()
    def crash(self) -> None:
        """Killed and started again: nothing was written down in between."""
        self.store.close()
        self.store = Store(Path(self.folder.name))
        self.queue = Queue(self.store, describe=describe)
        self.dispatch = Dispatch(self.store)
        self.store.tidy()
        self.dispatch.recover()
        for cell in self.cells("running"):
            cell.crashes += 1
            cell.state = "pending" if cell.crashes < CRASHES_ALLOWED else "failed"

    @rule()
    def stop(self) -> None:
        """Stopped in good order: nobody is blamed."""
        self.dispatch.release()
        for cell in self.cells("running"):
            cell.state = "pending"

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(sorted(self.stored)))
        assert self.store.delete([self.digest(seed)]) == 1
        self.stored.remove(seed)

    @invariant()
    def cells_are_as_the_model_says(self) -> None:
        for job_id, known in self.jobs.items():
            found = self.queue.cells(job_id)
            assert [(cell.settings.seed, cell.state) for cell in found] == [
                (cell.seed, cell.state) for cell in known
            ]

    @invariant()
    def a_job_is_what_its_cells_are(self) -> None:
        for job_id, known in self.jobs.items():
            job = self.queue.job(job_id)
            assert job is not None
            states = {cell.state for cell in known}
            assert job.is_over == (not states & {"pending", "running"})
            assert (job.finished_at is not None) == job.is_over
            assert job.done_cells == sum(cell.state == "done" for cell in known)
            if job.is_over:
                assert job.state == next(
                    end
                    for end, when in (("cancelled", "cancelled"), ("done", "done"), ("failed", ""))
                    if not when or when in states
                )

    @invariant()
    def pictures_and_rows_are_one(self) -> None:
        digests = {self.digest(seed) for seed in self.stored}
        assert {image.digest for image in self.store.search()} == digests
        assert {path.stem for path in self.store.files.pictures()} == digests
        assert all(self.store.image_bytes(digest) for digest in digests)
        (check,) = self.store.database.read("PRAGMA integrity_check")
        assert check[0] == "ok"


def test_any_order_of_what_can_happen() -> None:
    runs, steps = tries(20, 500), tries(30, 50)
    what = "orders of submit, claim, finish, fail, cancel, retry, crash, stop, delete"
    with counted(what) as count, count.one(runs):
        run_state_machine_as_test(
            QueueStates,
            settings=effort(
                max_examples=runs, stateful_step_count=steps, deadline=None, derandomize=not LONG
            ),
        )
