"""A disk of 8 MB that really fills: a small file system in memory, where one may be mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.diffusion.events import Generation
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs import doubles
from tests.core.runs.doubles import Lab, describe, finish, settings, wait_for
from tests.faults.campaign import counted, tries


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "lightbox", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_fills_keeps_what_it_holds(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise does not compress, so that a picture of 256 x 256 takes 200 kB: some thirty fit."""
    monkeypatch.setattr("core.runs.worker.worker.RETRY_SECONDS", 0.05)
    chance = np.random.default_rng(1)
    plain = doubles.generation

    def noisy(one: GenerationSettings, **options: str) -> Generation:
        pixels = chance.integers(0, 256, (256, 256, 3), np.uint8)
        return replace(plain(one, **options), image=Image.fromarray(pixels))

    monkeypatch.setattr(doubles, "generation", noisy)
    store = Store(disk / "data")
    queue = Queue(store, describe=describe)
    wanted = [settings(seed, width=256, height=256) for seed in range(tries(60, 300))]
    with counted("pictures on a disk of 8 MB") as count, Lab().working(store) as worker:
        job_id = queue.submit(wanted, owner="me", token="1")
        kept = 0
        while kept < len(wanted):
            more = worker.troubles + 2
            wait_for(lambda more=more: has_ended(queue, job_id) or worker.troubles >= more, 120)
            done = [image.digest for image in store.search(limit=1000)]
            with count.one(len(done)):
                assert all(store.image_bytes(digest) for digest in done)
                (check,) = store.database.read("PRAGMA integrity_check")
                assert check[0] == "ok"
            assert "is full" in worker.trouble or has_ended(queue, job_id)
            kept += store.delete(done)  # room again: the work goes on by itself
            if has_ended(queue, job_id):
                queue.retry_failed(job_id)
                if not [cell for cell in queue.cells(job_id) if cell.state != "done"]:
                    break
        assert finish(queue, job_id, 120).done_cells == len(wanted)
    assert os.listdir(disk / "data" / "tmp") == []


def has_ended(queue: Queue, job_id: str) -> bool:
    job = queue.job(job_id)
    return job is not None and job.is_over
