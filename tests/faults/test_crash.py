"""The worker's process is killed as by the system: no handler runs, nothing is flushed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import Lab, describe, finish, info, settings, wait_for

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


class Workers:
    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crashing_worker"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self, folder: Path, how: str = "") -> int:
        assert self._parent.stdin is not None
        self._parent.stdin.write(f"{folder} {how}\n")
        self._parent.stdin.flush()
        return int(self.read())

    def read(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline().strip()

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self.read() == "gone"

    def close(self) -> None:
        self._parent.kill()
        self._parent.communicate()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.close()


def test_killed_workers_lose_nothing_and_the_third_time_sets_the_cell_aside(
    tmp_path: Path, workers: Workers
) -> None:
    store = Store(tmp_path / "data")
    queue = Queue(store, describe=describe)
    job_id = queue.submit(
        [settings(seed, num_inference_steps=3) for seed in (1, 13, 2)], owner="me", token="1"
    )

    def states() -> list[str]:
        return [cell.state for cell in queue.cells(job_id)]

    for crashes in range(3):
        pid = workers.start(store.folder)
        wait_for(lambda: queue.worker_status().state == "busy", seconds=60)
        wait_for(lambda: states() == ["done", "running", "done"])
        assert store.database.read("SELECT crashes FROM cells")[1][0] == crashes
        workers.kill(pid)
        assert queue.worker_status().state == "absent", "at once, not when a heartbeat is missed"
        assert {image.settings.seed for image in store.search()} == {1, 2}

    lab = Lab()
    with lab.working(store):
        job = finish(queue, job_id)
        assert finish(queue, queue.submit([settings(3)], owner="me", token="2")).state == "done"

    assert states() == ["done", "failed", "done"]
    assert (job.state, job.failed_cells) == ("done", 1)
    assert "stopped unexpectedly 3 times" in job.error
    assert lab.seeds == [3], "nothing was computed twice"
    for image in store.search():
        assert store.image_bytes(image.digest)

    queue.retry_failed(job_id)
    with lab.working(store):
        assert finish(queue, job_id).done_cells == 3


def test_killed_between_picture_and_row_leaves_no_row_without_its_file(
    tmp_path: Path, workers: Workers
) -> None:
    store = Store(tmp_path / "data")
    queue = Queue(store, describe=describe)
    one = settings(1)
    job_id = queue.submit([one], owner="me", token="1")
    workers.start(store.folder, "before-row")
    assert workers.read() == "gone"
    picture = store.files.picture(one.digest(info().fingerprint))
    assert picture.exists()
    assert store.count() == 0
    (store.folder / "tmp" / "half-written.png").write_bytes(b"\x89PNG")

    with Lab().working(store):
        assert finish(queue, job_id).state == "done"

    (image,) = store.search()
    assert store.image_bytes(image.digest) == picture.read_bytes()
    assert list((store.folder / "tmp").iterdir()) == []
