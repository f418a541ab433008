"""Workers killed at any moment, and started again: what was said to be done is there."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import Lab, describe, finish, settings, wait_for
from tests.faults.campaign import counted, tries
from tests.faults.test_crash import Workers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

OWNERS = ("ann", "bob", "cid")
LONGEST = 0.4
"""Seconds that a worker lives, at most: it makes some tens of pictures in them."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.close()


def test_killed_at_any_moment(tmp_path: Path, workers: Workers) -> None:
    chance = random.Random(4)
    store = Store(tmp_path / "data")
    queue = Queue(store, describe=describe)
    jobs: list[str] = []
    acknowledged: set[str] = set()
    with counted("kills at a random moment") as count:
        for number in range(tries(6, 100)):
            for owner in OWNERS:
                seeds = [chance.randrange(10_000) for _ in range(chance.randint(1, 8))]
                wanted = [settings(seed, num_inference_steps=3) for seed in seeds if seed != 13]
                token = f"{number}"
                jobs.append(queue.submit(wanted, owner=owner, token=token))
            pid = workers.start(store.folder)
            wait_for(lambda: queue.worker_status().state in ("busy", "idle"), seconds=60)
            time.sleep(chance.uniform(0, LONGEST))
            done = {
                cell.digest for job in jobs for cell in queue.cells(job) if cell.state == "done"
            }
            acknowledged |= {digest for digest in done if digest}
            workers.kill(pid)
            with count.one():
                assert acknowledged <= {image.digest for image in store.search(limit=100_000)}
                for digest in acknowledged:
                    assert store.image_bytes(digest)
                (check,) = store.database.read("PRAGMA integrity_check")
                assert check[0] == "ok"
    with Lab().working(store):
        for job in jobs:
            queue.retry_failed(job)  # set aside, where the same cell met three kills
            found = finish(queue, job, 60)
            assert (found.state, found.failed_cells) == ("done", 0)
    pictures = {path.stem for path in store.files.pictures()}
    assert pictures == {image.digest for image in store.search(limit=100_000)}


def test_cancelling_at_any_moment_stops_that_job_alone(tmp_path: Path) -> None:
    chance = random.Random(5)
    store = Store(tmp_path / "data")
    queue = Queue(store, describe=describe)
    lab = Lab(step_seconds=0.0005, max_rows=8)
    with counted("cancels at a random moment") as count, lab.working(store):
        for number in range(tries(20, 200)):
            others = [
                queue.submit(
                    [settings(1000 * number + 100 * index + n) for n in range(3)],
                    owner=owner,
                    token=f"{number}",
                )
                for index, owner in enumerate(OWNERS)
            ]
            gone = queue.submit(
                [settings(1000 * number + 900 + n, num_inference_steps=30) for n in range(6)],
                owner="dan",
                token=f"{number}",
            )
            time.sleep(chance.uniform(0, 0.03))
            with count.one():
                queue.cancel(gone)
                stopped = finish(queue, gone)
                assert stopped.state in ("cancelled", "done")
                for job in others:
                    found = finish(queue, job)
                    assert (found.state, found.done_cells) == ("done", 3)
                for cell in queue.cells(gone):
                    assert cell.state in ("done", "cancelled")
                    if cell.state == "done":
                        assert cell.digest
                        assert store.image_bytes(cell.digest)
