"""Named tasks: on the model between the steps of the batch, or in the pool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.diffusion.models.load import ModelError
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.queue.task_table import TASKS, TaskRow
from core.runs.queue.tasks import TaskRequest, Tasks
from core.runs.store.store import Store
from core.runs.worker.tasks.rows import CRASHES_ALLOWED, TaskRows
from core.runs.worker.tasks.runner import POOL_THREADS, TaskRunner
from core.runs.worker.tasks.work import InPool, OnModel, TaskError
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import Lab, finish, settings, wait_for
from tests.core.runs.tasks import Make, over, result_of, word


@dataclass(eq=False)
class Place:
    lab: Lab
    worker: Worker
    queue: Queue
    tasks: Tasks


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    lab, store = Lab(), Store(tmp_path / "data")
    with lab.working(store) as worker:
        yield Place(lab=lab, worker=worker, queue=Queue(store), tasks=Tasks(store))


def count_to(total: int) -> Any:
    def work(context: Any) -> Any:
        for done in range(total):
            yield done, total
        return f"{total} on {context.model.info.source}"

    return work


def test_a_task_runs_on_the_model_that_it_names(place: Place, make: Make) -> None:
    for source in ("bundled", "other"):
        request = make("count", count_to(3), source)
        place.tasks.submit(request)
        assert result_of(place.tasks, request) == f"3 on {source}"
    never = make("never", count_to(1))
    assert place.tasks.state(never.key) is None
    with pytest.raises(ValueError, match="no task"):
        place.tasks.submit(TaskRequest(name="unknown", settings=GenerationSettings()))


def test_the_same_request_is_one_task_also_from_another_object(place: Place, make: Make) -> None:
    begun: list[int] = []

    def work(_: Any) -> Any:
        begun.append(1)
        yield 0, 1
        return len(begun)

    request = make("one", work)
    for _ in range(3):
        place.tasks.submit(request)
    assert result_of(place.tasks, request) == 1
    elsewhere = Tasks(Store(place.queue.store.folder))
    elsewhere.submit(request, "another owner")
    assert result_of(elsewhere, request) == 1
    assert begun == [1]
    place.tasks.submit(request, again=True)
    assert result_of(place.tasks, request) == 2


def test_images_and_a_task_go_on_together(place: Place, make: Make) -> None:
    go_on = threading.Event()

    def endless(_: Any) -> Any:
        done = 0
        while not go_on.is_set():
            yield done, 0
            done += 1
        return done

    request = make("endless", endless)
    place.tasks.submit(request)
    job = place.queue.submit([settings(1)], owner="me", token="1")
    assert finish(place.queue, job).state == "done"
    wait_for(lambda: word(place.tasks, request) == "running")
    go_on.set()
    assert result_of(place.tasks, request) > 0


def test_stopping_closes_the_work_and_it_can_begin_again(place: Place, make: Make) -> None:
    closed = threading.Event()

    def endless(_: Any) -> Any:
        try:
            while True:
                yield 0, 0
        finally:
            closed.set()

    for needs_model in (True, False):
        closed.clear()
        request = make("stop me", endless, f"bundled{needs_model}", needs_model=needs_model)
        place.tasks.submit(request)
        wait_for(lambda request=request: word(place.tasks, request) == "running")
        place.tasks.cancel(request.key)
        assert closed.wait(10)
        assert word(place.tasks, request) == "cancelled"
        again = make("stop me", lambda _: iter_of(2), f"bundled{needs_model}")
        assert again.key == request.key
        place.tasks.submit(again)
        assert over(place.tasks, again).state == "done"
        place.tasks.cancel(again.key)
        assert word(place.tasks, again) == "done"


def iter_of(total: int) -> Any:
    for done in range(total):
        yield done, total
    return total


@pytest.mark.parametrize("needs_model", [True, False])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TaskError("The steps were never recorded."), "The steps were never recorded."),
        (RuntimeError("boom\nsecond line"), "unexpected error: boom."),
    ],
)
def test_a_failure_is_a_reason_and_the_worker_goes_on(
    place: Place, make: Make, error: Exception, words: str, needs_model: bool
) -> None:
    def work(_: Any) -> Any:
        yield 0, 1
        raise error

    request = make("fails", work, needs_model=needs_model)
    place.tasks.submit(request)
    state = over(place.tasks, request)
    assert state.state == "failed"
    assert words in state.reason
    after = make("after it", lambda _: iter_of(1), needs_model=needs_model)
    place.tasks.submit(after)
    assert result_of(place.tasks, after) == 1


@pytest.mark.parametrize("fault", ["raises", "yields nonsense"])
def test_an_unexpected_error_in_the_pool_is_reported_once_by_name(
    place: Place, make: Make, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """More often than the pool has threads: none is lost with its error."""

    def work(_: Any) -> Any:
        if fault == "raises":
            raise RuntimeError("boom")
        yield "nonsense"

    names = [f"{fault} {number}" for number in range(POOL_THREADS + 1)]
    requests = [make(name, work, needs_model=False) for name in names]
    for request in requests:
        place.tasks.submit(request)
    for request in requests:
        state = over(place.tasks, request)
        assert state.state == "failed"
        assert "unexpected error" in state.reason
    errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert sorted(errors) == [f"The task {name} failed" for name in names]
    after = make("after them", lambda _: iter_of(1), needs_model=False)
    place.tasks.submit(after)
    assert result_of(place.tasks, after) == 1


def test_a_model_that_cannot_be_loaded_fails_the_task(tmp_path: Path, make: Make) -> None:
    def load(source: str) -> Any:
        raise ModelError(f"{source} is not here")

    store = Store(tmp_path / "data")
    request = make("a", count_to(1), "missing")
    with Lab().working(store, load=load):
        Tasks(store).submit(request)
        state = over(Tasks(store), request)
    assert (state.state, state.reason) == ("failed", "missing is not here")


def test_work_without_a_model_is_never_on_the_engines_thread(place: Place, make: Make) -> None:
    """A task moves from the pool to the model and back; scores and PNGs stay away too."""
    engine: set[int] = set()
    seen: dict[str, list[int]] = {"pool": [], "model": []}
    place.lab.before_step = lambda _: engine.add(threading.get_ident())

    def film(context: Any) -> Any:
        seen["pool"].append(threading.get_ident())
        model = yield OnModel(source="other")
        assert model.info.source == "other"
        seen["model"].append(threading.get_ident())
        yield 1, 2
        yield InPool()
        seen["pool"].append(threading.get_ident())
        yield 2, 2
        return "film"

    request = make("a film", film, needs_model=False)
    job = place.queue.submit([settings(1)], owner="me", token="1")
    place.tasks.submit(request)
    assert result_of(place.tasks, request) == "film"
    finish(place.queue, job)
    assert len(engine) == 1
    assert set(seen["model"]) == engine
    assert len(seen["pool"]) == 2
    assert not engine & set(seen["pool"])


def test_no_picture_is_scored_on_the_engines_thread(tmp_path: Path) -> None:
    engine: set[int] = set()
    scored: list[int] = []

    def score(*_: Any) -> float:
        scored.append(threading.get_ident())
        return 25.0

    lab, store = Lab(), Store(tmp_path / "data")
    lab.before_step = lambda _: engine.add(threading.get_ident())
    with lab.working(store, score=score):
        queue = Queue(store)
        job = queue.submit([settings(seed) for seed in range(12)], owner="me", token="1")
        assert finish(queue, job).state == "done"
        images = [store.get(cell.digest or "") for cell in queue.cells(job)]
    assert len(scored) == 12
    assert not engine & set(scored)
    assert [image.clip_score for image in images if image] == [25.0] * 12


def test_tasks_outlive_their_worker_and_the_third_crash_sets_them_aside(
    tmp_path: Path, make: Make
) -> None:
    store = Store(tmp_path / "data")
    tasks, rows = Tasks(store), TaskRows(store)
    request = make("heavy", lambda _: iter_of(1))
    tasks.submit(request)
    for crash in range(1, CRASHES_ALLOWED + 1):
        rows.progress(request.key, 1, 2)
        rows.recover()
        assert word(tasks, request) == ("waiting" if crash < CRASHES_ALLOWED else "failed")
    other = make("light", lambda _: iter_of(1))
    tasks.submit(other)
    with Lab().working(store):
        assert result_of(tasks, other) == 1, "it was asked for before there was a worker"


def test_results_are_forgotten_by_number_and_size(
    place: Place, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_: Any) -> Any:
        yield 0, 1
        return np.zeros(1000, np.uint8)

    tasks = place.tasks
    monkeypatch.setattr("core.runs.queue.tasks.KEPT_BYTES", 4000)
    small = Tasks(place.queue.store)
    for index in range(4):
        small.keep_result(str(index), np.zeros(1000, np.uint8))
    kept = sorted(path.name for path in (place.queue.store.folder / "tasks").glob("*.npz"))
    assert kept[-1] == "3.npz"
    assert len(kept) < 4
    request = make("made", work)
    tasks.submit(request)
    assert result_of(tasks, request).nbytes == 1000
    for path in (place.queue.store.folder / "tasks").glob("*.npz"):
        path.unlink()
    assert tasks.state(request.key) is None, "a result that is gone was never asked for"
    tasks.submit(request)
    assert result_of(tasks, request).nbytes == 1000


@dataclass(eq=False)
class Bench:
    """A TaskRunner driven by hand, and whose piece was done when."""

    store: Store
    monkeypatch: pytest.MonkeyPatch
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner, self.tasks = TaskRunner(self.store), Tasks(self.store)

        def work(_: Any, settings: Any, name: str, pieces: int) -> Any:
            for piece in range(pieces):
                self.done.append(name)
                yield piece, pieces
            return name

        row = TaskRow(function=work, label="", needs_model=True)
        self.monkeypatch.setitem(TASKS, "bench", row)

    def ask(self, owner: str, name: str, pieces: int = 2, source: str = "bundled") -> str:
        request = TaskRequest(
            name="bench",
            settings=GenerationSettings(model=source),
            arguments={"name": name, "pieces": pieces},
        )
        self.tasks.submit(request, owner)
        self.runner.follow()
        return request.key

    def go_on(self, pieces: int = 1000) -> list[str]:
        """The models that the pieces needed, in order, up to a change."""
        needed: list[str] = []
        for _ in range(pieces):
            source = self.runner.waiting()
            if source is None:
                break
            if needed[-1:] != [source]:
                self.runner.restart()
                needed.append(source)
            self.runner.advance(SimpleNamespace(model=source))  # type: ignore[arg-type]
        return needed


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(store=Store(tmp_path / "data"), monkeypatch=monkeypatch)


def test_another_session_waits_for_no_more_than_a_piece(bench: Bench) -> None:
    for index in range(12):
        bench.ask("one", f"one {index}")
    bench.go_on(3)
    bench.ask("other", "other")
    bench.go_on()
    assert bench.done[2:6] == ["other", "one 1", "other", "one 1"]
    mine = [name for name in bench.done if name != "other"]
    assert mine == [f"one {index}" for index in range(12) for _ in range(2)], "as they were asked"


def test_what_nobody_looks_at_goes_last(bench: Bench) -> None:
    left = bench.ask("one", "left")
    bench.ask("one", "looked at")
    with bench.store.database.write() as connection:
        connection.execute("UPDATE tasks SET watched_until = 0 WHERE key = ?", (left,))
    bench.runner.follow()
    bench.go_on()
    assert bench.done == ["looked at"] * 2 + ["left"] * 2


def test_owners_of_two_models_do_not_take_turns(bench: Bench) -> None:
    """Each turn would load a model. Who has waited longest comes before who begins anew."""
    bench.ask("one", "a", pieces=3)
    bench.ask("other", "b", source="elsewhere")
    bench.ask("third", "c")
    assert bench.go_on() == ["bundled", "elsewhere", "bundled"]
    assert bench.done == ["a"] * 3 + ["b"] * 2 + ["c"] * 2


def test_a_task_cancelled_while_its_model_loads_fails_no_other(bench: Bench) -> None:
    a = bench.ask("one", "a", source="elsewhere")
    b = bench.ask("other", "b")
    assert bench.runner.waiting() == "elsewhere"
    bench.tasks.cancel(a)
    bench.runner.follow()
    assert bench.runner.waiting() is None, "nobody wants that model any more"
    bench.runner.fail_next("The download was stopped.")
    bench.go_on()
    wait_for(lambda: (state := bench.tasks.state(b)) and state.state == "done")
