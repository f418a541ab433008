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

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs import doubles
from tests.core.runs.doubles import Lab, describe, finish, settings
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
    """Noise does not compress, so that a picture of 256 x 256 takes 200 kB."""
    chance = np.random.default_rng(1)
    plain = doubles.generation

    def noisy(one: object, **options: str) -> object:
        made = plain(one, **options)  # type: ignore[arg-type]
        pixels = chance.integers(0, 256, (256, 256, 3), np.uint8)
        return replace(made, image=Image.fromarray(pixels))

    monkeypatch.setattr(doubles, "generation", noisy)
    store = Store(disk / "data")
    queue = Queue(store, describe=describe)
    with counted("pictures on a disk of 8 MB") as count, Lab().working(store):
        done: set[str] = set()
        for number in range(tries(1, 5)):
            wanted = [settings(100 * number + seed, width=256, height=256) for seed in range(60)]
            job = queue.submit(wanted, owner="me", token=str(number))
            with count.one(len(wanted)):
                found = finish(queue, job, 120)
                assert found.failed_cells > 0
                assert found.error.startswith(f"The disk that holds {store.folder} is full")
                done |= {cell.digest or "" for cell in queue.cells(job) if cell.state == "done"}
                assert {image.digest for image in store.search(limit=1000)} == done
                assert all(store.image_bytes(digest) for digest in done)
                (check,) = store.database.read("PRAGMA integrity_check")
                assert check[0] == "ok"
            if number == 0:
                assert done
            # Room again: half of the pictures go, and the next job may use what they leave.
            gone = sorted(done)[::2]
            store.delete(gone)
            done -= set(gone)
    assert os.listdir(disk / "data" / "tmp") == []
