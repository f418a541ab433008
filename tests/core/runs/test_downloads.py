"""Models on their way: beside the worker and in it, with Stop; and what is freed before a load."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.diffusion.download import DownloadProgress, Report
from core.diffusion.models import ModelError
from core.runs import worker as worker_module
from core.runs.downloads import Download, Downloads
from core.runs.queue import Queue
from core.runs.slot import ModelSlot, Tools
from core.runs.store import Store
from core.runs.worker import Worker
from tests.core.runs.doubles import FakeModel, describe, info, settings, wait_for


class SlowHub:
    """Sends one of ten pieces each time it is let to; `fetch` is what downloads from it."""

    def __init__(self) -> None:
        self.next = threading.Semaphore(0)
        self.ended: list[str] = []

    def fetch(self, source: str, report: Report) -> None:
        try:
            for piece in range(1, 11):
                assert self.next.acquire(timeout=60)
                report(DownloadProgress(source=source, done=piece * 10**8, total=10**9))
        finally:
            self.ended.append(source)

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
    store: Store, hub: SlowHub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Worker, Queue, str]]:
    """A worker in the middle of fetching a model that a job needs."""
    monkeypatch.setattr(worker_module, "ensure_here", hub.fetch)
    load: Any = lambda source: FakeModel(info(source))  # noqa: E731
    worker = Worker(store, load=load, describe=describe)
    queue = Queue(store)
    job = queue.submit([settings(1, model="missing/one")], owner="me", token="1")
    worker.start()
    hub.let(2)
    wait_for(lambda: "20%" in queue.worker_status().message)
    yield worker, queue, job
    hub.let(100)
    worker.stop(60)


def test_the_status_says_how_far_the_workers_download_is(
    downloading: tuple[Worker, Queue, str],
) -> None:
    status = downloading[1].worker_status()
    assert status.state == "loading"
    assert status.message == "Downloading missing/one: 0.20 of 1.00 GB (20%)"


def test_cancelling_the_job_stops_the_workers_download(
    downloading: tuple[Worker, Queue, str], hub: SlowHub
) -> None:
    worker, queue, job = downloading
    queue.cancel(job)
    hub.let(1)
    wait_for(lambda: hub.ended == ["missing/one"])
    wait_for(lambda: queue.worker_status().state == "idle")
    found = queue.job(job)
    assert found is not None
    assert found.state == "cancelled"
    assert worker.is_running


def test_a_worker_that_ends_leaves_the_job_waiting(
    downloading: tuple[Worker, Queue, str], hub: SlowHub
) -> None:
    worker, queue, job = downloading
    ended: list[bool] = []
    stopper = threading.Thread(target=lambda: ended.append(worker.stop(60)))
    stopper.start()
    wait_for(worker._stopping.is_set)  # pyright: ignore[reportPrivateUsage]
    hub.let(1)
    stopper.join()
    assert ended == [True]
    assert queue.cells(job)[0].state == "pending"


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

    slot = ModelSlot(tools(load, engine))
    for source in ("one", "two", "three"):
        assert slot.load(source) == ""
    assert alive_at_load == [0, 0, 0]


def test_the_old_model_stays_while_a_download_may_still_fail() -> None:
    def fetch(source: str) -> None:
        if source == "a/gone":
            raise ModelError("a/gone is not on the hub.")

    slot = ModelSlot(tools(lambda source: FakeModel(info(source)), lambda model: [model], fetch))
    assert slot.load("one") == ""
    assert slot.load("a/gone") == "a/gone is not on the hub."
    assert slot.holds(info("one").fingerprint)


def tools(
    load: Callable[[str], Any],
    engine: Callable[[Any], Any],
    fetch: Callable[[str], object] = lambda source: None,
) -> Tools:
    return Tools(
        load=load,
        make_engine=engine,
        describe=describe,
        score=lambda *_: None,
        max_rows=8,
        fetch=fetch,
    )
