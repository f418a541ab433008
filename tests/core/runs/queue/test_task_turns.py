"""Tasks of one model and images of another take turns: neither waits for all of the other's."""

from __future__ import annotations

from typing import Any

import pytest

from core.runs.queue.queue import Queue
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store
from core.runs.worker import turns
from tests.core.runs.doubles import Lab, finish, settings, wait_for
from tests.core.runs.tasks import Make


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LANE_SECONDS", 0.05)


def test_a_task_of_another_model_does_not_wait_for_the_whole_sweep(
    store: Store, queue: Queue, lab: Lab, make: Make
) -> None:
    lab.max_rows = 2  # a cell at a time
    lab.step_seconds = 0.01
    done_then: list[int] = []
    with lab.working(store):
        sweep = queue.submit([settings(seed) for seed in range(60)], owner="me", token="1")
        wait_for(lambda: len(lab.admitted) > 2)

        def look(_: Any) -> Any:
            job = queue.job(sweep)
            assert job is not None
            done_then.append(job.done_cells)
            yield 1, 1

        Tasks(store).submit(make("elsewhere", look, "other"))
        wait_for(lambda: done_then)
        assert done_then[0] < 60
        assert finish(queue, sweep).done_cells == 60, "and the sweep goes on after it"
    assert lab.loaded == ["bundled", "other", "bundled"]
    assert sorted(lab.seeds) == list(range(60)), "nothing was computed twice"


def test_a_task_has_its_turn_before_images_of_another_model_take_the_model_away(
    store: Store, queue: Queue, lab: Lab, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LANE_SECONDS", 600)
    pieces: list[int] = []

    def long(_: Any) -> Any:
        for piece in range(10**9):
            pieces.append(piece)
            yield piece, 10**9

    with lab.working(store):
        request = make("long", long, "other")
        Tasks(store).submit(request)
        wait_for(lambda: pieces)
        job = queue.submit([settings(1)], owner="me", token="1")
        before = len(pieces)
        wait_for(lambda: len(pieces) > before + 100)
        assert lab.loaded == ["other"]
        Tasks(store).cancel(request.key)
        assert finish(queue, job).state == "done", "as soon as nobody needs the other model"
    assert lab.loaded == ["other", "bundled"]


def test_a_turn_of_a_task_ends_too(store: Store, queue: Queue, lab: Lab, make: Make) -> None:
    def endless(_: Any) -> Any:
        while True:
            yield 0, 0

    with lab.working(store):
        request = make("endless", endless, "other")
        Tasks(store).submit(request)
        wait_for(lambda: lab.loaded == ["other"])
        job = queue.submit([settings(1)], owner="me", token="1")
        assert finish(queue, job).state == "done"
        Tasks(store).cancel(request.key)
