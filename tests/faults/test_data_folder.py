"""A data folder that is read-only, full, locked or damaged: one clear message, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.runs.queue.queue import Queue
from core.runs.store import database, files
from core.runs.store.database import Database
from core.runs.store.index import Filter
from core.runs.store.store import Store, StoreError
from core.runs.worker.worker import FolderInUse, Worker
from tests.core.runs.doubles import Lab, describe, finish, generation, info, settings, wait_for

ROOT = Path(__file__).parents[2]

READ_ONLY = """
import os, sys
from pathlib import Path
from core.runs.store.store import Store, StoreError
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write anywhere
try:
    Store(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""

HOLDER = """
import sys
from pathlib import Path
from core.runs.worker.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, describe=describe)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that holds one image and can be read, but not written, by other users."""
    folder = Path(tempfile.mkdtemp())
    store = Store(folder)
    store.put(generation(), info())
    store.close()
    inside = [folder, *folder.rglob("*")]
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in inside:
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_folder_is_named_with_the_way_out(read_only: Path) -> None:
    for folder in (read_only, read_only / "new"):
        found = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)], cwd=ROOT, capture_output=True, text=True
        )
        assert found.stdout == (
            f"The data folder {folder.resolve()} cannot be written. Make it writable for this "
            "user, or name another folder in LIGHTBOX_DATA.\n"
        ), found.stderr
    for path in [read_only, *read_only.rglob("*")]:
        path.chmod(0o755)
    (image,) = Store(read_only).search()
    assert Store(read_only).image_bytes(image.digest)


def test_a_file_in_the_place_of_the_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StoreError, match="a file of that name is in the way"):
        Store(tmp_path / "data")
    with pytest.raises(StoreError, match="a file of that name is in the way"):
        Store(tmp_path / "data" / "below")
    assert (tmp_path / "data").read_text() == "mine"


def test_a_full_disk_fails_the_image_and_keeps_the_others(
    store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.put(generation(settings(1)), info())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Lab().working(store):
        monkeypatch.setattr(files.os, "fsync", full)
        job_id = queue.submit([settings(2), settings(3)], owner="me", token="1")
        job = finish(queue, job_id)

        assert (job.state, job.failed_cells) == ("failed", 2)
        assert job.error.startswith(f"The disk that holds {store.folder} is full")
        assert "Free some space" in job.error
        assert [image.digest for image in store.search()] == [kept.digest]
        assert store.image_bytes(kept.digest)
        assert list((store.folder / "tmp").iterdir()) == [], "nothing half written stays"

        monkeypatch.undo()
        queue.retry_failed(job_id)
        assert finish(queue, job_id).state == "done"
    assert store.count() == 3


ROW_BYTES = {False: 2028, True: 1678}
"""Settings of a cell as JSON: with room for a reason on the pages, and without."""


@pytest.mark.parametrize("stops", [False, True], ids=["cells fail", "work stops"])
def test_an_index_that_cannot_grow_fails_or_stops_the_work_until_there_is_space(
    store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    """SQLite itself reports the full disk: its file may have no more pages. Where the cells' rows
    fill theirs, not even why they failed can be written.
    """
    monkeypatch.setattr("core.runs.worker.worker.RETRY_SECONDS", 0.05)
    limit = [0]
    connect = Database._connect

    def limited(self: Database) -> sqlite3.Connection:
        connection = connect(self)
        if limit[0]:
            connection.execute(f"PRAGMA max_page_count = {limit[0]}")
        return connection

    monkeypatch.setattr(Database, "_connect", limited)
    lab = Lab()
    lab.hold()
    # How full the rows leave their pages decides which it is, whatever settings there are.
    size = len(json.dumps(replace(settings(0), prompt="").to_dict()))
    prompt = "x" * (ROW_BYTES[stops] - size)
    wanted = [replace(settings(seed), prompt=prompt) for seed in range(40)]
    job_id = queue.submit(wanted, owner="me", token="1")
    limit[0] = store.database.read("PRAGMA page_count")[0][0]
    with lab.working(Store(store.folder)) as worker:
        wait_for(lambda: len(lab.admitted) > 5)
        lab.gate.set()
        if stops:
            wait_for(lambda: queue.worker_status().state == "failed")
            status = queue.worker_status()
            assert not status.alive
            assert "is full" in status.message
        else:
            finish(queue, job_id)
            reasons = {cell.reason for cell in queue.cells(job_id) if cell.state == "failed"}
            assert all("is full" in reason for reason in reasons)
            assert reasons
        assert worker.is_running
        limit[0] = 0
    stored = store.count()
    assert stored < 40
    job = queue.job(job_id)
    assert job is not None
    assert job.failed_cells + job.done_cells <= 40

    with Lab().working(store):
        queue.retry_failed(job_id)
        assert finish(queue, job_id).done_cells == 40
    assert store.count() == 40
    assert all(store.image_bytes(image.digest) for image in store.search(limit=99))


def test_a_folder_held_by_another_process_is_refused_by_name(store: Store, queue: Queue) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for start in (Lab().worker(store).start, lambda: Worker.shared(store.folder)):
            with pytest.raises(FolderInUse) as raised:
                start()
            assert str(raised.value).startswith(
                f"The data folder {store.folder} is in use by another Diffusion Lightbox "
                f"(process {holder.pid} on "
            )
        job_id = queue.submit([settings(1)], owner="command line", token="1")
    finally:
        holder.kill()
        holder.communicate()

    with Lab().working(store):  # the system freed the lock of the killed process
        assert finish(queue, job_id).state == "done"


def test_an_index_locked_by_another_program_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    viewer = sqlite3.connect(store.database.path, isolation_level=None)
    viewer.execute("BEGIN IMMEDIATE")
    other = Store(store.folder)
    with pytest.raises(StoreError, match="locked by another program"):
        other.put(generation(), info())
    viewer.close()
    assert other.put(generation(), info()).digest


@pytest.mark.parametrize("harm", ["header", "pages", "not a database"])
def test_a_damaged_index_is_named_and_the_pictures_are_left(store: Store, harm: str) -> None:
    stored = [store.put(generation(settings(seed)), info()) for seed in range(30)]
    store.database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    path = store.database.path
    data = bytearray(path.read_bytes())
    if harm == "header":
        data[:16] = b"\0" * 16
    elif harm == "pages":
        data[4096:] = os.urandom(len(data) - 4096)
    else:
        data = bytearray(b"not a database " * 500)
    path.write_bytes(data)
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)

    with pytest.raises(StoreError, match=r"index .* is damaged\. The pictures in .* are whole"):
        Store(store.folder).search()

    assert all(image.path.stat().st_size > 0 for image in stored)
    path.rename(path.with_suffix(".damaged"))
    fresh = Store(store.folder)  # what the message tells one to do
    assert {image.digest for image in fresh.search(limit=99)} == {one.digest for one in stored}


def test_a_lost_index_is_made_anew_from_the_pictures(store: Store) -> None:
    plain = store.put(generation(settings(1, prompt="Äpfel"), record="none"), info("a"))
    traced = store.put(generation(settings(2, guidance_scale=7.25), record="latents"), info("b"))
    edited = store.put(generation(settings(3)), info())
    damaged = store.put(generation(settings(4)), info())
    os.utime(plain.path, (1000, 1000))
    os.utime(traced.path, (2000, 2000))
    shutil.copy(plain.path, edited.path)
    data = bytearray(damaged.path.read_bytes())
    data[-30] ^= 0xFF
    damaged.path.write_bytes(data)
    store.close()
    for path in store.folder.glob("lightbox.sqlite3*"):
        path.unlink()

    again = Store(store.folder)

    found = again.search()
    assert found == [
        replace(traced, created_at=2000, seconds=0, clip_score=None),
        replace(plain, created_at=1000, seconds=0, clip_score=None),
    ], "the newest first; not the two that are no longer what their names say"
    assert again.image_bytes(traced.digest) == traced.path.read_bytes()
    trajectory = again.trajectory(traced.digest)
    assert trajectory is not None
    assert trajectory.latents is not None
    assert again.search(Filter(text="äpfel")) == found[1:]
    assert edited.path.exists(), "a picture is never removed for being strange"
    assert Store(store.folder).count() == 2


def test_a_damaged_picture_is_computed_again_when_asked_for(store: Store, queue: Queue) -> None:
    stored = store.put(generation(settings(1)), info())
    stored.path.write_bytes(b"\x89PNG" + b"\0" * (stored.path.stat().st_size - 4))
    with pytest.raises(StoreError, match="is damaged"):
        store.image_bytes(stored.digest)

    lab = Lab()
    with lab.working(store):
        finish(queue, queue.submit([settings(1)], owner="me", token="1"))

    assert lab.seeds == [1]
    assert store.image_bytes(stored.digest).startswith(b"\x89PNG\r\n")
