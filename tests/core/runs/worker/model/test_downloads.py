"""Models on their way: beside the worker and in it, with Stop; and what is freed before a load."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from core.diffusion.models.download import DownloadProgress, Report
from core.diffusion.models.load import ModelError
from core.runs.queue.queue import Queue
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store
from core.runs.worker.model.downloads import Download, Downloads
from core.runs.worker.model.slot import ModelSlot
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import (
    FakeModel,
    GivenModels,
    Lab,
    describe,
    finish,
    info,
    settings,
    wait_for,
)
from tests.core.runs.tasks import Make, result_of


class SlowHub:
    """Sends one of ten pieces each time it is let to; `fetch` is what downloads from it."""

    def __init__(self) -> None:
        self.next = threading.Semaphore(0)
        self.ended: list[str] = []
        self.came: set[str] = set()

    def fetch(self, source: str, report: Report) -> None:
        try:
            for piece in range(1, 11):
                assert self.next.acquire(timeout=60)
                report(DownloadProgress(source=source, done=piece * 10**8, total=10**9))
            self.came.add(source)
        finally:
            self.ended.append(source)

    def is_elsewhere(self, source: str) -> bool:
        return source.startswith("hub/") and source not in self.came

    def let(self, pieces: int) -> None:
        for _ in range(pieces):
            self.next.release()


@pytest.fixture
def hub() -> Iterator[SlowHub]:
    found = SlowHub()
    yield found
    found.let(100)


def state(downloads: Downloads, source: str = "a/b") -> Download:
    found = downloads.state(source)
    assert found is not None
    return found


def test_a_download_shows_how_far_it_is_and_ends(hub: SlowHub) -> None:
    downloads = Downloads(hub.fetch)
    assert downloads.state("a/b") is None
    downloads.start("a/b")
    downloads.start("a/b")  # a second click, or another tab
    hub.let(3)
    wait_for(lambda: state(downloads).done == 3 * 10**8)
    assert state(downloads).state == "running"
    hub.let(7)
    wait_for(lambda: state(downloads).state == "done")
    assert hub.ended == ["a/b"]
    downloads.forget("a/b")
    assert downloads.state("a/b") is None


def test_stopped_it_ends_with_the_piece_and_can_begin_again(hub: SlowHub) -> None:
    downloads = Downloads(hub.fetch)
    downloads.start("a/b")
    downloads.stop("a/b")
    hub.let(1)
    wait_for(lambda: state(downloads).state == "stopped")
    downloads.start("a/b")
    hub.let(10)
    wait_for(lambda: state(downloads).state == "done")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("a/b is FLUX.1."), "a/b is FLUX.1."),
        (ValueError("odd"), "a/b could not be downloaded: odd"),
    ],
)
def test_what_goes_wrong_is_said(error: Exception, reason: str) -> None:
    def fetch(source: str, report: Report) -> None:
        raise error

    downloads = Downloads(fetch)
    downloads.start("a/b")
    wait_for(lambda: state(downloads).state == "failed")
    assert state(downloads).reason == reason


@pytest.fixture
def downloading(
    store: Store, queue: Queue, lab: Lab, hub: SlowHub
) -> Iterator[tuple[Worker, Queue, str]]:
    """A worker for which a model is fetched that a job needs."""
    job = queue.submit([settings(1, model="hub/one")], owner="me", token="1")
    with lab.working(store, fetch=hub.fetch, is_elsewhere=hub.is_elsewhere) as worker:
        hub.let(2)
        wait_for(lambda: "20%" in queue.worker_status().message)
        yield worker, queue, job
        hub.let(100)


def test_the_status_says_how_far_the_workers_download_is(
    downloading: tuple[Worker, Queue, str],
) -> None:
    status = downloading[1].worker_status()
    assert status.state == "loading"
    assert status.message == "Downloading hub/one: 0.20 of 1.00 GB (20%)"


def test_cancelling_the_job_stops_the_workers_download(
    downloading: tuple[Worker, Queue, str], hub: SlowHub
) -> None:
    worker, queue, job = downloading
    queue.cancel(job)
    time.sleep(0.5)  # the worker looks ten times in that
    hub.let(1)
    wait_for(lambda: hub.ended == ["hub/one"])
    assert not hub.came
    wait_for(lambda: queue.worker_status().state == "idle")
    found = queue.job(job)
    assert found is not None
    assert found.state == "cancelled"
    assert worker.is_running


def test_a_worker_that_ends_leaves_the_job_waiting(
    downloading: tuple[Worker, Queue, str], hub: SlowHub
) -> None:
    worker, queue, job = downloading
    assert worker.stop(60)
    hub.let(1)
    wait_for(lambda: hub.ended == ["hub/one"])
    assert not hub.came
    assert queue.cells(job)[0].state == "pending"


def test_pictures_of_other_models_are_made_meanwhile(
    downloading: tuple[Worker, Queue, str], hub: SlowHub, lab: Lab
) -> None:
    _, queue, job = downloading
    other = queue.submit([settings(2)], owner="you", token="2")
    assert finish(queue, other).state == "done"
    assert queue.cells(job)[0].state == "pending"
    assert lab.loaded == ["bundled"]
    hub.let(8)
    assert finish(queue, job).state == "done"
    assert lab.loaded == ["bundled", "hub/one"]


def test_a_task_of_another_model_runs_meanwhile(
    downloading: tuple[Worker, Queue, str], hub: SlowHub, make: Make
) -> None:
    _, queue, job = downloading

    def begin(context: Any) -> Any:
        yield 1, 1
        return context.model.info.source

    tasks, request = Tasks(queue.store), make("a task", begin)
    tasks.submit(request, "you")
    assert result_of(tasks, request) == "bundled"
    hub.let(8)
    assert finish(queue, job).state == "done"


def test_asked_for_again_while_it_stops_it_goes_on(
    downloading: tuple[Worker, Queue, str], hub: SlowHub
) -> None:
    _, queue, job = downloading
    queue.cancel(job)
    again = queue.submit([settings(1, model="hub/one")], owner="me", token="2")
    hub.let(30)
    assert finish(queue, again).state == "done"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("hub/one is FLUX.1."), "hub/one is FLUX.1."),
        (ValueError("odd"), "hub/one could not be downloaded: odd"),
    ],
)
def test_what_cannot_come_fails_its_own_cells_alone(
    store: Store, queue: Queue, lab: Lab, error: Exception, reason: str
) -> None:
    def fetch(source: str, report: Report) -> None:
        raise error

    job = queue.submit([settings(1, model="hub/one"), settings(2)], owner="me", token="1")
    with lab.working(store, fetch=fetch, is_elsewhere=lambda source: source.startswith("hub/")):
        finish(queue, job)
    gone, made = queue.cells(job)
    assert (gone.state, gone.reason) == ("failed", reason)
    assert made.state == "done"
    assert lab.loaded == ["bundled"]


class Weights:
    """Memory that a model holds."""


def test_the_old_model_is_gone_before_the_new_one_is_loaded() -> None:
    held: list[weakref.ref[Weights]] = []
    alive_at_load: list[int] = []

    def load(source: str) -> Any:
        gc.collect()
        alive_at_load.append(sum(ref() is not None for ref in held))
        model, weights = FakeModel(info(source)), Weights()
        model.weights = weights  # type: ignore[attr-defined]
        weights.itself = model  # type: ignore[attr-defined]  # as modules do: a circle
        held.append(weakref.ref(weights))
        return model

    def engine(model: Any) -> Any:
        return [model]

    slot = ModelSlot(GivenModels(load=load, make_engine=engine, describe=describe))
    for source in ("one", "two", "three"):
        assert slot.load(source) == ""
    assert alive_at_load == [0, 0, 0]
