"""What is stored, with the pictures of one sweep as one entry, and in the library's order."""

from __future__ import annotations

import random
import time

import pytest

from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.index import Filter
from core.runs.store.store import Store, StoredImage
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.runs.doubles import generation, info, settings

MODEL = info()


def put(store: Store, one: GenerationSettings) -> StoredImage:
    return store.put(generation(one, record="none"), MODEL)


def sweep_of(queue: Queue, token: str, scales: tuple[float, ...]) -> tuple[str, list[str]]:
    """A job of a sweep over guidance, not computed, and the digests of its cells."""
    sweep = Sweep(base=settings(1), x=Axis(name="guidance_scale", values=scales))
    cells = [cell.settings for cell in sweep.cells()]
    job = queue.submit(cells, owner="me", token=token, sweep=sweep)
    return job, [cell.digest(MODEL.fingerprint) for cell in cells]


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, describe=lambda source: MODEL)


def test_the_pictures_of_a_sweep_are_one_entry(store: Store, queue: Queue) -> None:
    first = put(store, settings(5))
    job, digests = sweep_of(queue, "1", (2.0, 3.0, 4.0))
    inside = [put(store, settings(1, guidance_scale=scale)) for scale in (2.0, 3.0)]
    last = put(store, settings(6))
    assert [image.digest for image in inside] == digests[:2]
    found = store.entries()
    assert [(entry.image.digest, entry.job_id, entry.count) for entry in found] == [
        (last.digest, None, 1),
        (inside[1].digest, job, 2),
        (first.digest, None, 1),
    ]
    assert store.count_entries() == 3
    assert store.count() == 4


def test_one_picture_of_a_sweep_is_a_picture(store: Store, queue: Queue) -> None:
    sweep_of(queue, "1", (2.0, 3.0))
    only = put(store, settings(1, guidance_scale=3.0))
    (entry,) = store.entries()
    assert (entry.image, entry.job_id, entry.count) == (only, None, 1)


def test_a_picture_of_two_sweeps_is_shown_with_the_later(store: Store, queue: Queue) -> None:
    """Once: what is counted twice could not be paged through."""
    sweep_of(queue, "1", (2.0, 3.0, 4.0))
    later, _ = sweep_of(queue, "2", (3.0, 4.0, 5.0))
    for scale in (2.0, 3.0, 4.0, 5.0):
        put(store, settings(1, guidance_scale=scale))
    found = store.entries()
    assert [(entry.job_id, entry.count) for entry in found] == [(later, 3), (None, 1)]
    assert sum(entry.count for entry in found) == store.count()


def test_entries_are_those_that_a_search_finds(store: Store, queue: Queue) -> None:
    sweep_of(queue, "1", (2.0, 3.0, 4.0))
    for scale in (2.0, 3.0, 4.0):
        put(store, settings(1, guidance_scale=scale, prompt="an owl"))
    put(store, settings(9, prompt="a fish"))
    assert [entry.count for entry in store.entries(Filter(text="FISH"))] == [1]
    assert store.count_entries(Filter(text="fish")) == 1
    assert store.count_entries(Filter(scheduler="Heun")) == 0
    assert store.count_entries(Filter(model=MODEL.name)) == store.count_entries()


def test_pages_of_entries_hold_everything_once(store: Store, queue: Queue) -> None:
    draw = random.Random(4)
    for token in range(4):
        scales = tuple(draw.sample([2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 3))
        sweep_of(queue, str(token), scales)
        for scale in scales:
            put(store, settings(1, guidance_scale=scale))
        put(store, settings(100 + token))
    total = store.count_entries()
    paged = [entry for at in range(0, total + 3, 3) for entry in store.entries(limit=3, offset=at)]
    assert paged == store.entries(limit=1000)
    assert len(paged) == total
    assert sum(entry.count for entry in paged) == store.count()
    newest = [entry.image.created_at for entry in paged]
    assert newest == sorted(newest, reverse=True)


def test_a_row_that_cannot_be_read_is_left_out_of_entries(store: Store, queue: Queue) -> None:
    sweep_of(queue, "1", (2.0, 3.0, 4.0))
    images = [put(store, settings(1, guidance_scale=scale)) for scale in (2.0, 3.0, 4.0)]
    with store.database.write() as connection:
        connection.execute(
            "UPDATE images SET settings = '{' WHERE digest = ?", (images[-1].digest,)
        )
    (entry,) = store.entries()
    assert (entry.image, entry.count) == (images[1], 2)
    assert store.count_entries() == 1


def test_neighbours_are_those_of_the_search(store: Store) -> None:
    """Of pictures of one moment, too: the clock may not tell them apart."""
    images = [put(store, settings(seed, prompt=f"number {seed % 2}")) for seed in range(6)]
    with store.database.write() as connection:
        connection.execute("UPDATE images SET created_at = ?", (time.time(),))
    for text in ("", "number 1"):
        order = store.search(Filter(text=text))
        assert len(order) == (3 if text else 6)
        for index, image in enumerate(order):
            newer, older = store.neighbours(image, Filter(text=text))
            assert newer == (order[index - 1] if index else None)
            assert older == (order[index + 1] if index + 1 < len(order) else None)
    newer, older = store.neighbours(images[0], Filter(text="number 1"))
    assert newer is not None
    assert newer.settings.prompt == "number 1"
    assert older is None
