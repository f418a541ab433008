"""A process that ends while it makes an index, deletes or stores: nothing is lost or comes back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from core.runs.queue.queue import Queue
from core.runs.store.database import Database
from core.runs.store.store import Store, StoreError
from tests.core.runs.doubles import Lab, describe, finish, generation, info, settings
from tests.faults.stopping import ENDED

ROOT = Path(__file__).parents[2]
OLD_STORE = ROOT / "tests" / "stores" / "0.1"
COUNT = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of six pictures, all of whose rows and files are there."""
    store = Store(tmp_path / "data")
    for seed in range(COUNT):
        store.put(generation(settings(seed)), info())
    store.close()
    return store.folder


def stop(folder: Path, what: str, point: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.stopping", str(folder), what, point],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == ENDED, ended.stderr


def lose_the_index(folder: Path) -> None:
    for path in folder.glob("lightbox.sqlite3*"):
        path.unlink()


def seeds(folder: Path) -> list[int]:
    store = Store(folder)
    found = store.search(limit=99)
    assert all(store.image_bytes(image.digest) for image in found)
    store.close()
    return sorted(image.settings.seed for image in found)


def files(folder: Path) -> list[str]:
    """The pictures and trajectories on the disk."""
    found = [*(folder / "images").rglob("*.png"), *(folder / "trajectories").rglob("*.safetensors")]
    return sorted(path.stem for path in found)


def start(folder: Path) -> None:
    """What the worker does first."""
    with Lab().working(Store(folder)):
        pass


@pytest.mark.parametrize("point", ["read:1", "read:4", "row:1", "row:4", "row:6", "commit:1"])
def test_an_index_that_was_not_finished_is_made_again(folder: Path, point: str) -> None:
    lose_the_index(folder)
    stop(folder, "open", point)
    assert seeds(folder) == list(range(COUNT))


def test_an_index_that_an_earlier_version_left_empty_is_filled(tmp_path: Path) -> None:
    """It committed the schema before it read the pictures."""
    folder = Path(shutil.copytree(OLD_STORE, tmp_path / "data"))
    count = len(Store(Path(shutil.copytree(OLD_STORE, tmp_path / "other"))).search(limit=99))
    connection = sqlite3.connect(folder / "lightbox.sqlite3")
    connection.execute("DELETE FROM images")
    connection.commit()
    connection.close()
    assert Store(folder).count() == count > 0


def test_a_full_disk_while_the_index_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_index(folder)
    connect = Database._connect

    def limited(self: Database) -> sqlite3.Connection:
        connection = connect(self)
        connection.execute("PRAGMA max_page_count = 12")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_connect", limited)
        with pytest.raises(StoreError, match="is full"):
            Store(folder)
    assert seeds(folder) == list(range(COUNT))


DELETING = ["commit:1", "remove:1", "remove:2", "remove:7", "deletion ends:1"]


@pytest.mark.parametrize("point", DELETING)
def test_a_deletion_that_was_cut_short_is_finished_at_the_start(folder: Path, point: str) -> None:
    stop(folder, "delete", point)
    start(folder)
    assert seeds(folder) == []
    assert files(folder) == []
    assert list((folder / "deleting").iterdir()) == []


@pytest.mark.parametrize("point", DELETING)
def test_a_new_index_does_not_bring_deleted_pictures_back(folder: Path, point: str) -> None:
    stop(folder, "delete", point)
    lose_the_index(folder)
    assert seeds(folder) == []
    start(folder)
    assert files(folder) == []


def test_a_deletion_that_never_began_deletes_nothing(folder: Path) -> None:
    stop(folder, "delete", "deletion begins:1")
    start(folder)
    assert seeds(folder) == list(range(COUNT))
    assert len(files(folder)) == 2 * COUNT


def test_a_picture_that_is_made_again_outlives_its_deletion(folder: Path) -> None:
    stop(folder, "delete", "remove:1")
    store = Store(folder)
    again = store.put(generation(settings(3)), info())
    start(folder)
    assert seeds(folder) == [3]
    assert files(folder) == [again.digest] * 2


@pytest.mark.parametrize("point", ["write:1", "write:2", "own row:1"])
def test_a_picture_without_a_row_is_swept_and_named(
    folder: Path, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed between picture and row, and then cancelled: nobody asks for it any more."""
    before = files(folder)
    stop(folder, "put", point)
    digest = settings(77).digest(info().fingerprint)
    had_picture = (folder / "images" / digest[:2] / f"{digest}.png").exists()
    assert had_picture == (point == "own row:1")
    start(folder)
    assert files(folder) == before
    assert seeds(folder) == list(range(COUNT))
    assert (f"Removing {digest}.png" in caplog.text) == had_picture


def test_a_picture_without_a_row_that_is_wanted_is_computed(folder: Path) -> None:
    stop(folder, "put", "own row:1")
    store = Store(folder)
    queue = Queue(store, describe=describe)
    with Lab().working(store):
        job_id = queue.submit([settings(77)], owner="me", token="1")
        assert finish(queue, job_id).state == "done"
    start(folder)
    assert seeds(folder) == [*range(COUNT), 77]


def test_a_strange_picture_is_never_swept(folder: Path) -> None:
    (folder / "images" / "ab").mkdir(exist_ok=True)
    mine = folder / "images" / "ab" / f"{'ab' * 32}.png"
    mine.write_bytes(b"a picture of mine")
    start(folder)
    assert mine.read_bytes() == b"a picture of mine"


def test_deleting_works_on_a_disk_without_room_for_its_note(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(folder)
    digests = [image.digest for image in store.search()]
    monkeypatch.setattr(os, "fsync", full)
    assert store.delete(digests) == COUNT
    assert files(folder) == []


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lightbox.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="the database of another program"):
        Store(tmp_path)
    assert path.read_bytes()[100:] == before[100:]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="the database of another program"):
        Store(tmp_path)


def test_a_folder_in_the_place_of_the_index_is_named(folder: Path) -> None:
    lose_the_index(folder)
    (folder / "lightbox.sqlite3").mkdir()
    with pytest.raises(StoreError, match="A folder is in the place of the index"):
        Store(folder)
    (folder / "lightbox.sqlite3").rmdir()
    assert seeds(folder) == list(range(COUNT))
