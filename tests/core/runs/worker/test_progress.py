from __future__ import annotations

import time

import numpy as np
import pytest

from core.runs.worker.progress import Progress


class Tables:
    """Dispatch's place: keeps what was written."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[int, int]] = {}
        self.paces: dict[str, float] = {}
        self.writes = 0

    def progress(self, steps, previews, paces) -> None:
        self.steps |= steps
        self.paces = dict(paces)
        self.writes += 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def progress(tables: Tables, clock: Clock) -> Progress:
    return Progress(tables, now=clock)  # pyright: ignore[reportArgumentType]


def run(progress: Progress, clock: Clock, *, steps: range, seconds: float, cells: int = 2) -> None:
    """Steps of `seconds` each, of cells that all belong to one job."""
    for step in steps:
        clock.now += seconds
        for cell in range(cells):
            progress.stepped(f"cell {cell}", {"job"}, step, 1000, None)
        progress.write({"job"})


def test_the_pace_counts_every_cell_from_the_jobs_admission(
    progress: Progress, clock: Clock, tables: Tables
) -> None:
    progress.admitted("job")
    run(progress, clock, steps=range(1, 2), seconds=0.25)
    assert tables.paces == {"job": pytest.approx(2 / 0.25)}
    run(progress, clock, steps=range(2, 9), seconds=0.25)
    assert tables.paces == {"job": pytest.approx(2 / 0.25)}
    assert tables.steps["cell 1"] == (8, 1000)


def test_the_pace_follows_a_change_within_seconds(
    progress: Progress, clock: Clock, tables: Tables
) -> None:
    progress.admitted("job")
    run(progress, clock, steps=range(1, 100), seconds=0.25)
    run(progress, clock, steps=range(100, 120), seconds=1.0)
    assert tables.paces["job"] == pytest.approx(2, rel=0.05)


def test_a_job_that_comes_back_is_measured_anew(
    progress: Progress, clock: Clock, tables: Tables
) -> None:
    progress.admitted("job")
    run(progress, clock, steps=range(1, 5), seconds=0.5)
    clock.now += 60
    progress.write({"another"})
    clock.now += 60
    progress.admitted("job")
    run(progress, clock, steps=range(5, 6), seconds=0.5)
    assert tables.paces["job"] == pytest.approx(2 / 0.5)


def test_ten_writes_a_second_carry_the_newest_step(
    progress: Progress, clock: Clock, tables: Tables
) -> None:
    progress.admitted("job")
    run(progress, clock, steps=range(1, 1001), seconds=0.001)
    assert 9 <= tables.writes <= 11
    assert tables.steps["cell 0"][0] > 890


def test_nobody_is_told_what_is_no_longer_in_flight(
    progress: Progress, clock: Clock, tables: Tables
) -> None:
    progress.started("cell 0", 20)
    progress.forget("cell 0")
    progress.write(set())
    assert tables.writes == 0


def test_previews_go_to_the_watched_in_turn_while_they_watch(
    progress: Progress, clock: Clock
) -> None:
    in_flight = {"a": {"seen"}, "b": {"seen", "other"}, "c": {"unseen"}}
    watched = {"seen": time.time() + 3600, "unseen": time.time() - 0.01}
    picture = np.zeros((2, 2, 3), np.uint8)
    made: list[str] = []
    for _ in range(1000):
        clock.now += 0.01
        for chosen in sorted(progress.choose_previews(in_flight, watched)):
            made.append(chosen)
            progress.stepped(chosen, in_flight[chosen], 1, 20, picture)

    assert made[:4] == ["a", "b", "a", "b"]
    assert set(made) == {"a", "b"}
    assert 38 <= len(made) <= 42, "four a second, for ten seconds"
    assert progress.choose_previews(in_flight, {}) == set()


def test_a_slow_step_shows_as_many_cells_as_its_time_allows(
    progress: Progress, clock: Clock
) -> None:
    in_flight = {f"cell {i}": {"seen"} for i in range(20)}
    watched = {"seen": time.time() + 3600}
    picture = np.zeros((2, 2, 3), np.uint8)
    shown: list[set[str]] = []
    for _ in range(5):
        clock.now += 2.5
        shown.append(progress.choose_previews(in_flight, watched))
        for chosen in shown[-1]:
            progress.stepped(chosen, {"seen"}, 1, 20, picture)

    assert shown[0] == set(in_flight), "the first look shows every cell"
    assert all(len(some) == 10 for some in shown[1:]), "four a second"
    assert shown[1] | shown[2] == set(in_flight), "in turn"
