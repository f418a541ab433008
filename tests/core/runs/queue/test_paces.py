"""How long a sweep will take, from pictures of like batches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diffusion.events import Generation
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.sweeps.pace import Pace, estimate
from tests.core.runs.doubles import generation, info, settings

WORK = 4 * 2 * 128 * 128
"""Of one picture: four calls of two rows."""


def made(
    seed: int, *, rows: int, seconds: float, device: str = "cpu", **changes: object
) -> Generation:
    one = generation(settings(seed, **changes))
    computed = replace(one.computed, rows=rows, device=device)
    return replace(one, seconds=seconds, computed=computed)


def put(store: Store, first: int, count: int, *, rows: int, seconds: float, **more: str) -> None:
    for seed in range(first, first + count):
        store.put(made(seed, rows=rows, seconds=seconds, **more), info())


def speed(queue: Queue, rows: int) -> tuple[float, bool] | None:
    """Pictures a second, and whether it was measured in batches like those of so many rows."""
    pace = queue.find_pace(info(), rows)
    return (pace.row_pixels_per_second / WORK, pace.is_like) if pace else None


def test_nothing_is_known_before_a_first_picture(queue: Queue, store: Store) -> None:
    assert speed(queue, 2) is None
    store.put(replace(generation(settings(1)), seconds=0.0), info())  # from a lost index
    assert speed(queue, 2) is None


def test_each_size_of_batch_has_a_pace_of_its_own(queue: Queue, store: Store) -> None:
    put(store, 0, 16, rows=32, seconds=0.5)
    put(store, 100, 1, rows=2, seconds=2.0)
    assert speed(queue, 32) == (2.0, True)
    assert speed(queue, 20) == (2.0, True)
    assert speed(queue, 2) == (0.5, True), "one slow picture does not set a grid's time"


def test_a_cpu_estimates_a_larger_batch_by_what_batches_gain_there(
    queue: Queue, store: Store
) -> None:
    """One picture alone said "up to" 2.9 times the time that its sweep took."""
    put(store, 0, 3, rows=2, seconds=2.0)
    assert speed(queue, 32) == (pytest.approx(0.5 / 0.56), True)
    assert speed(queue, 500) == speed(queue, 32), "no further than was measured"
    put(store, 50, 3, rows=8, seconds=1.0)
    assert speed(queue, 32) == (pytest.approx(0.69 / 0.56), True)
    assert speed(queue, 4) == (pytest.approx(6 / 9), True), "of both"


def test_on_a_gpu_a_smaller_batch_is_a_bound(queue: Queue, store: Store) -> None:
    put(store, 0, 3, rows=2, seconds=2.0, device="cuda")
    assert speed(queue, 32) == (0.5, False)


def test_the_newest_pictures_and_the_last_device_count(queue: Queue, store: Store) -> None:
    put(store, 0, 50, rows=32, seconds=8.0)
    put(store, 100, 40, rows=32, seconds=1.0)
    assert speed(queue, 32) == (1.0, True)
    put(store, 200, 1, rows=2, seconds=0.1, device="cuda")
    assert speed(queue, 32) == (10.0, False)


def test_a_picture_of_another_model_says_nothing(queue: Queue, store: Store) -> None:
    store.put(made(1, rows=2, seconds=1.0), info("other"))
    assert speed(queue, 2) is None


def test_an_estimate_is_the_work_over_the_pace() -> None:
    """Ten guided pictures go together in 20 rows, forty in no more than 32."""
    asked: list[int] = []

    def find(model: object, rows: int) -> Pace:
        asked.append(rows)
        return Pace(row_pixels_per_second=WORK / 2, is_like=rows < 32)

    infos = {"bundled": info()}
    ten = estimate([settings(seed) for seed in range(10)], infos, find)
    forty = estimate([settings(seed) for seed in range(40)], infos, find)
    assert ten is not None
    assert forty is not None
    assert (ten.seconds, ten.is_like) == (pytest.approx(20), True)
    assert (forty.seconds, forty.is_like) == (pytest.approx(80), False)
    assert asked == [20, 32]
    assert estimate([GenerationSettings(prompt="a")], infos, lambda *_: None) is None
