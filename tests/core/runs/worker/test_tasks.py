"""Tasks: the worker carries them on between the steps of the batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.diffusion.models.load import ModelError
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.tasks import KEPT, TaskError, Tasks, TaskState, Work, size_of
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import Lab, finish, settings, wait_for


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
    assert finish(queue, job).state == "done"
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


@dataclass(eq=False)
class Bench:
    """Tasks driven by hand, and whose piece was done when."""

    tasks: Tasks = field(default_factory=Tasks)
    done: list[str] = field(default_factory=list)

    def ask(self, owner: str, name: str, pieces: int = 2, source: str = "bundled") -> None:
        def work(_: Any) -> Work:
            for piece in range(pieces):
                self.done.append(name)
                yield piece, pieces
            return name

        self.tasks.submit(name, source, work, owner)

    def go_on(self, pieces: int = 1000) -> list[str]:
        """The models that the pieces needed, in order, up to a change."""
        needed: list[str] = []
        for _ in range(pieces):
            source = self.tasks.waiting()
            if source is None:
                break
            if needed[-1:] != [source]:
                self.tasks.restart()
                needed.append(source)
            self.tasks.advance(SimpleNamespace(model=source))  # type: ignore[arg-type]
        return needed


def test_another_session_waits_for_no_more_than_a_piece() -> None:
    bench = Bench()
    for index in range(12):
        bench.ask("one", f"one {index}")
    bench.go_on(3)
    bench.ask("other", "other")
    bench.go_on()
    assert bench.done[:6] == ["one 0", "one 0", "other", "one 1", "other", "one 1"]
    mine = [name for name in bench.done if name != "other"]
    assert mine == [f"one {index}" for index in range(12) for _ in range(2)], "as they were asked"


def test_what_nobody_looks_at_goes_last() -> None:
    bench = Bench()
    for name in ("left", "looked at"):
        bench.ask("one", name)
    bench.tasks._tasks["left"].looked_at = float("-inf")
    bench.go_on()
    assert bench.done == ["looked at"] * 2 + ["left"] * 2


def test_owners_of_two_models_do_not_take_turns() -> None:
    """Each turn would load a model. Who has waited longest comes before who begins anew."""
    bench = Bench()
    bench.ask("one", "a", pieces=3)
    bench.ask("other", "b", source="elsewhere")
    bench.ask("third", "c")
    assert bench.go_on() == ["bundled", "elsewhere", "bundled"]
    assert bench.done == ["a"] * 3 + ["b"] * 2 + ["c"] * 2


def test_a_task_cancelled_while_its_model_loads_fails_no_other() -> None:
    bench = Bench()
    bench.ask("one", "a", source="elsewhere")
    bench.ask("other", "b")
    assert bench.tasks.waiting() == "elsewhere"
    bench.tasks.cancel("a")
    assert bench.tasks.waiting() is None, "nobody wants that model any more"
    bench.tasks.fail_next("The download was stopped.")
    bench.go_on()
    assert state_of(bench.tasks, "b") == "done"


def test_results_are_forgotten_by_their_size_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.worker.tasks.KEPT_BYTES", 250)
    bench = Bench()
    for name in ("first", "second", "third"):

        def work(_: Any) -> Work:
            yield 0, 1
            return np.zeros(100, np.uint8)

        bench.tasks.submit(name, "bundled", work)
        bench.go_on()
        bench.tasks.state("first")  # a page still looks at it
    assert [name for name in ("first", "second", "third") if bench.tasks.state(name)] == [
        "first",
        "third",
    ]
    monkeypatch.setattr("core.runs.worker.tasks.KEPT_BYTES", 10)
    bench.ask("one", "fourth", pieces=0)
    bench.go_on()
    assert bench.tasks.state("third") is None
    assert state_of(bench.tasks, "fourth") == "done", "the newest stays, whatever its size"


def test_the_size_of_a_result_is_that_of_its_arrays_and_pictures() -> None:
    @dataclass
    class Whole:
        pixels: np.ndarray
        pictures: tuple[Image.Image, ...]
        words: str = "as long as you like"

    whole = Whole(pixels=np.zeros((2, 3), np.float32), pictures=(Image.new("RGB", (4, 5)),))
    assert size_of({"one": whole, "path": Path("x")}) == 24 + 60
    assert size_of(None) == 0
