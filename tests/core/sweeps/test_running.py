"""Sweeps through the queue, the worker and the real engine: what is computed, and what is not."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel, describe
from core.diffusion.sampling import vae as pixels
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Job
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from core.sweeps.axis import parse_axis
from core.sweeps.plan import make_plan
from core.sweeps.sweep import Sweep
from tests.core.runs.doubles import GivenModels

BASE = GenerationSettings(prompt="a red apple", width=32, height=32, num_inference_steps=3)
SWEEP = Sweep(base=BASE, x=parse_axis("seed", "1-3"), y=parse_axis("guidance_scale", "2, 3, 4"))


class Lab:
    """A worker over the real model, which counts the UNet rows that it computes."""

    def __init__(self, folder: Path, model: LoadedModel) -> None:
        self.model = model
        self.store = Store(folder)
        self.queue = Queue(self.store)
        self.rows = 0
        self.worker = Worker(
            self.store, GivenModels(load=lambda source: model, score=lambda *_: None)
        )

    def submit(self, sweep: Sweep, *, strict: bool = False) -> str:
        plan = make_plan(sweep, describe=describe, holds=self.store.holds)
        return self.queue.submit(
            plan.submission(), owner="me", token=uuid.uuid4().hex, strict=strict
        )

    def finish(self, job_id: str) -> Job:
        *_, last = self.queue.follow(job_id, every=0.01)
        return last

    def run(self, sweep: Sweep, *, strict: bool = False) -> int:
        """Runs it and returns how many UNet rows that took."""
        self.rows = 0
        job = self.finish(self.submit(sweep, strict=strict))
        distinct = make_plan(sweep, describe=describe, holds=self.store.holds).distinct
        assert (job.state, job.done_cells) == ("done", distinct)
        return self.rows

    def planned(self, sweep: Sweep) -> int:
        return make_plan(sweep, describe=describe, holds=self.store.holds).unet_rows

    def pictures(self, sweep: Sweep) -> list[bytes]:
        plan = make_plan(sweep, describe=describe, holds=self.store.holds)
        return [self.store.image_bytes(digest) for digest in plan.digests]


@pytest.fixture
def make_lab(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], Lab]]:
    made: list[Lab] = []
    forward = model.unet.forward

    def counted(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        for lab in made:
            lab.rows += len(sample)
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", counted)

    def make(folder: Path) -> Lab:
        made.append(Lab(folder, model))
        made[-1].worker.start()
        return made[-1]

    yield make
    for lab in made:
        assert lab.worker.stop()


@pytest.fixture
def lab(make_lab: Callable[[Path], Lab], tmp_path: Path) -> Lab:
    return make_lab(tmp_path)


def test_only_what_is_new_is_computed_and_the_plan_says_so(lab: Lab) -> None:
    rows_a_cell = 3 * 2

    def run_as_planned(sweep: Sweep) -> int:
        planned = lab.planned(sweep)
        assert lab.run(sweep) == planned
        return planned // rows_a_cell

    assert run_as_planned(SWEEP) == 9
    assert run_as_planned(SWEEP) == 0
    assert run_as_planned(SWEEP.swapped()) == 0
    larger = replace(
        SWEEP, x=parse_axis("seed", "1-4"), y=parse_axis("guidance_scale", "2, 3, 4, 5")
    )
    assert run_as_planned(larger) == 7
    reworded = replace(SWEEP, base=replace(BASE, prompt="a red apples"))
    assert run_as_planned(reworded) == 9


def test_snapshots_of_a_sweep_come_out_of_one_run(lab: Lab) -> None:
    sweep = Sweep(base=BASE, x=parse_axis("snapshot", "1-3, 0"))
    assert lab.run(sweep) == 3 * 2
    assert len(set(lab.pictures(sweep))) == 4


def test_snapshots_of_more_runs_than_fit_at_once_still_cost_one_run_each(lab: Lab) -> None:
    sweep = Sweep(base=BASE, x=parse_axis("seed", "1-20"), y=parse_axis("snapshot", "1, 2, 0"))
    planned = lab.planned(sweep)
    assert planned == 20 * 3 * 2
    assert lab.run(sweep) == planned


def test_cells_that_are_the_same_by_arithmetic_are_computed_once(lab: Lab) -> None:
    sweep = Sweep(base=BASE, x=parse_axis("guidance_scale", "0, 0.5, 1"))
    assert lab.run(sweep) == 3
    assert len(set(lab.pictures(sweep))) == 1


LENGTH = 3 * (4 + 6 + 8) // 3
"""Steps of the engine that the nine cells below take, three at a time."""


@pytest.mark.parametrize("after", [*sorted(Random(19).sample(range(LENGTH), 10)), LENGTH])
def test_a_cancelled_sweep_keeps_what_is_finished_and_resumes(
    model: LoadedModel, tmp_path: Path, after: int
) -> None:
    """Cancelled after any step of the engine, the last one included: nothing is lost or done
    twice.
    """
    store = Store(tmp_path)
    queue = Queue(store)
    steps: list[int] = []
    computed: list[str] = []

    class Counting(Engine):
        def step(self, preview=None):
            if len(steps) == after and not computed_before:
                queue.cancel(job_id)
            steps.append(1)
            events = super().step(preview)
            computed.extend(e.key for e in events if type(e).__name__ == "Finished")
            return events

    computed_before: list[str] = []
    sweep = Sweep(
        base=BASE, x=parse_axis("seed", "1-3"), y=parse_axis("num_inference_steps", "4-8 (+2)")
    )
    settings = [cell.settings for cell in sweep.cells()]
    worker = Worker(
        store,
        GivenModels(
            load=lambda source: model,
            make_engine=lambda loaded: Counting(loaded, max_rows=6),
            score=lambda *_: None,
            max_rows=6,
        ),
    )
    job_id = queue.submit(settings, owner="me", token="first")
    worker.start()
    try:
        *_, job = queue.follow(job_id, every=0.01)
        assert job.state == ("cancelled" if after < LENGTH else "done")
        assert after <= len(steps) <= after + 2  # it stops within one step
        kept = {
            c.digest: store.image_bytes(c.digest)
            for c in queue.cells(job_id)
            if c.state == "done" and c.digest
        }
        computed_before += computed or ["none"]
        again = queue.submit(settings, owner="me", token="second")
        *_, job = queue.follow(again, every=0.01)
        assert (job.state, job.done_cells) == ("done", 9)
    finally:
        assert worker.stop()
    for digest, data in kept.items():
        assert store.image_bytes(digest) == data
    assert len(computed) == len(set(computed)) == 9


def test_one_failed_cell_fails_alone_and_is_retried_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, calls = pixels.decode, count(1)

    def sometimes(model: LoadedModel, latents: torch.Tensor) -> torch.Tensor:
        if next(calls) == 5:
            raise torch.OutOfMemoryError("no room")
        return decode(model, latents)

    monkeypatch.setattr(pixels, "decode", sometimes)
    job_id = lab.submit(SWEEP)
    job = lab.finish(job_id)
    assert (job.state, job.done_cells, job.failed_cells) == ("done", 8, 1)
    failed = [cell for cell in lab.queue.cells(job_id) if cell.state == "failed"]
    assert "Out of memory" in failed[0].reason
    lab.rows = 0
    lab.queue.retry_failed(job_id)
    assert lab.finish(job_id).done_cells == 9
    assert lab.rows == 3 * 2


def test_a_strict_sweep_is_the_same_to_the_byte_wherever_it_was_interrupted(
    make_lab: Callable[[Path], Lab], tmp_path: Path
) -> None:
    whole = make_lab(tmp_path / "whole")
    whole.run(SWEEP, strict=True)
    parts = make_lab(tmp_path / "parts")
    parts.run(replace(SWEEP, y=parse_axis("guidance_scale", "3")), strict=True)
    parts.run(SWEEP, strict=True)
    assert parts.pictures(SWEEP) == whole.pictures(SWEEP)
