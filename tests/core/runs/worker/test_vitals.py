"""The status line's numbers."""

from __future__ import annotations

import psutil

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.vitals import Pulse, Vitals
from tests.core.runs.doubles import Lab, finish, settings, wait_for


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_steps_a_second_are_those_of_the_last_seconds() -> None:
    clock = Clock()
    pulse = Pulse(now=clock)
    for _ in range(3):
        pulse.stepped(rows=8, cells=4)
        clock.time += 0.5
    clock.time -= 0.5
    read = pulse.read("cpu")
    assert (read.rows, read.steps_per_second) == (8, 8.0), "two steps of four in one second"
    clock.time += 60
    for _ in range(2):
        pulse.stepped(rows=2, cells=1)
        clock.time += 0.25
    assert pulse.read("cpu").steps_per_second == 4.0, "what was a minute ago is forgotten"
    pulse.rest()
    assert (pulse.read("cpu").rows, pulse.read("cpu").steps_per_second) == (0, 0.0)


def test_memory_is_that_of_this_process_on_a_cpu() -> None:
    read = Pulse().read("cpu")
    assert 0.5 < read.memory_used / psutil.Process().memory_info().rss < 2
    assert read.memory_free is None


def test_lines_say_what_there_is_to_say() -> None:
    idle = Vitals(rows=0, steps_per_second=0.0, memory_used=812 * 2**20, memory_free=None)
    assert idle.lines() == ["812 MB used"]
    busy = Vitals(
        rows=32, steps_per_second=118.04, memory_used=6 * 2**30, memory_free=17 * 2**30 // 2
    )
    assert busy.lines() == [
        "6.0 GB used, 8.5 GB free",
        "32 rows in the batch · 118 steps a second",
    ]


def test_a_worker_tells_the_rows_of_the_call_under_way(
    store: Store, queue: Queue, lab: Lab
) -> None:
    """The engine says them, whatever a cell's most are: here three each."""
    lab.rows_of_cell = 3
    lab.step_seconds = 0.05
    with lab.working(store) as worker:
        queue.submit([settings(1), settings(2)], owner="me", token="1")
        wait_for(lambda: worker.vitals().rows == 6)


def test_a_worker_tells_of_its_work_and_rests(store: Store, queue: Queue, lab: Lab) -> None:
    worker = lab.worker(store)
    assert worker.vitals().rows == 0
    worker.start()
    try:
        job = queue.submit([settings(1), settings(2)], owner="me", token="1")
        finish(queue, job)
        wait_for(lambda: queue.worker_status().state == "idle")
        wait_for(lambda: worker.vitals().rows == 0)
        assert worker.vitals().memory_used > 0
    finally:
        assert worker.stop()
