"""Tasks: the worker carries them on between the steps of the batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.diffusion.models import ModelError
from core.runs.queue import Queue
from core.runs.store import Store
from core.runs.tasks import KEPT, TaskError, Tasks, TaskState, Work
from core.runs.worker import Worker
from tests.core.runs.doubles import Lab, settings, wait_for


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Lab, Worker, Queue]]:
    lab, store = Lab(), Store(tmp_path / "data")
    worker = lab.worker(store)
    worker.start()
    yield lab, worker, Queue(store)
    worker.stop()


def over(tasks: Tasks, key: str) -> TaskState:
    wait_for(lambda: (state := tasks.state(key)) and state.is_over)
    state = tasks.state(key)
    assert state is not None
    return state


def state_of(tasks: Tasks, key: str) -> str:
    """Its state in a word; "" for a key that is not known."""
    state = tasks.state(key)
    return state.state if state else ""


def count_to(total: int) -> Any:
    def work(model: Any) -> Work:
        for done in range(total):
            yield done, total
        return f"{total} on {model.info.source}"

    return work


def test_a_task_runs_on_the_model_that_it_names(lab: tuple[Lab, Worker, Queue]) -> None:
    _, worker, _ = lab
    for source in ("bundled", "other"):
        worker.tasks.submit(f"on {source}", source, count_to(3))
        assert over(worker.tasks, f"on {source}").result == f"3 on {source}"
    assert worker.tasks.state("never asked") is None


def test_the_same_key_is_one_task(lab: tuple[Lab, Worker, Queue]) -> None:
    _, worker, _ = lab
    begun: list[int] = []

    def work(_: Any) -> Work:
        begun.append(1)
        yield 0, 1
        return len(begun)

    for _ in range(3):
        worker.tasks.submit("one", "bundled", work)
    assert over(worker.tasks, "one").result == 1
    worker.tasks.submit("one", "bundled", work)
    assert over(worker.tasks, "one").result == 1
    assert begun == [1]


def test_images_and_a_task_go_on_together(lab: tuple[Lab, Worker, Queue]) -> None:
    _, worker, queue = lab
    go_on = threading.Event()

    def endless(_: Any) -> Work:
        done = 0
        while not go_on.is_set():
            yield done, 0
            done += 1
        return done

    worker.tasks.submit("endless", "bundled", endless)
    job = queue.submit([settings(1)], owner="me", token="1")
    wait_for(lambda: (found := queue.job(job)) and found.state == "done")
    assert state_of(worker.tasks, "endless") == "running"
    go_on.set()
    assert over(worker.tasks, "endless").result > 0


def test_a_task_waits_for_a_batch_of_another_model(lab: tuple[Lab, Worker, Queue]) -> None:
    """The model under a running batch is never taken away."""
    engines, worker, queue = lab
    seen: list[str] = []
    engines.before_step = lambda _: seen.append(state_of(worker.tasks, "elsewhere"))
    engines.hold()
    job = queue.submit([settings(1)], owner="me", token="1")
    wait_for(lambda: (found := queue.job(job)) and found.state == "running")
    worker.tasks.submit("elsewhere", "other", count_to(1))
    assert state_of(worker.tasks, "elsewhere") == "waiting"
    engines.gate.set()
    assert over(worker.tasks, "elsewhere").result == "1 on other"
    found = queue.job(job)
    assert found is not None
    assert found.state == "done"
    assert set(seen) <= {"", "waiting"}


def test_stopping_closes_the_work_and_it_can_begin_again(lab: tuple[Lab, Worker, Queue]) -> None:
    _, worker, _ = lab
    closed = threading.Event()

    def endless(_: Any) -> Work:
        try:
            while True:
                yield 0, 0
        finally:
            closed.set()

    worker.tasks.submit("stop me", "bundled", endless)
    wait_for(lambda: (s := worker.tasks.state("stop me")) and s.state == "running")
    worker.tasks.cancel("stop me")
    assert closed.wait(10)
    assert over(worker.tasks, "stop me").state == "cancelled"
    worker.tasks.submit("stop me", "bundled", count_to(2))
    assert over(worker.tasks, "stop me").state == "done"
    worker.tasks.cancel("stop me")
    assert over(worker.tasks, "stop me").state == "done"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TaskError("The steps were never recorded."), "The steps were never recorded."),
        (RuntimeError("boom\nsecond line"), "unexpected error: boom."),
    ],
)
def test_a_failure_is_a_reason_and_the_worker_goes_on(
    lab: tuple[Lab, Worker, Queue], error: Exception, words: str
) -> None:
    _, worker, _ = lab

    def work(_: Any) -> Work:
        yield 0, 1
        raise error

    worker.tasks.submit("fails", "bundled", work)
    state = over(worker.tasks, "fails")
    assert state.state == "failed"
    assert words in state.reason
    worker.tasks.submit("after it", "bundled", count_to(1))
    assert over(worker.tasks, "after it").state == "done"


def test_a_model_that_cannot_be_loaded_fails_the_task(tmp_path: Path) -> None:
    def load(source: str) -> Any:
        raise ModelError(f"{source} is not here")

    worker = Lab().worker(Store(tmp_path / "data"), load=load)
    worker.start()
    try:
        worker.tasks.submit("a", "missing", count_to(1))
        state = over(worker.tasks, "a")
    finally:
        worker.stop()
    assert (state.state, state.reason) == ("failed", "missing is not here")


def test_the_oldest_results_are_forgotten(lab: tuple[Lab, Worker, Queue]) -> None:
    _, worker, _ = lab
    for index in range(KEPT + 2):
        worker.tasks.submit(str(index), "bundled", count_to(0))
        over(worker.tasks, str(index))
    assert worker.tasks.state("0") is None
    assert worker.tasks.state(str(KEPT + 1)) is not None
