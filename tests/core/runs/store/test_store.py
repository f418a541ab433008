from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.output.texts.infotext import read_png
from core.runs.store.index import Filter
from core.runs.store.schema import MIGRATIONS
from core.runs.store.store import Store, StoreError, data_folder
from tests.core.runs.doubles import RECORD, colour, generation, info, settings

MODEL = info()


def digest_of(seed: int = 0) -> str:
    return settings(seed).digest(MODEL.fingerprint)


def test_a_stored_image_comes_back_with_all_that_made_it(store: Store) -> None:
    one = settings(7, negative_prompt="blurry", guidance_scale=4.5)
    before = time.time()

    stored = store.put(generation(one), MODEL, clip_score=31.5)

    assert store.get(stored.digest) == stored
    assert stored.digest == one.digest(MODEL.fingerprint)
    assert stored.settings == one
    assert before <= stored.created_at <= time.time()
    assert (stored.seconds, stored.clip_score) == (0.5, 31.5)
    assert stored.computed["dtype"] == "float32"
    assert (stored.model_name, stored.model_fingerprint) == (MODEL.name, MODEL.fingerprint)
    assert stored.path == store.folder / "images" / stored.digest[:2] / f"{stored.digest}.png"
    data = store.image_bytes(stored.digest)
    assert data == stored.path.read_bytes()
    assert Image.open(io.BytesIO(data)).getpixel((5, 5)) == colour(one)
    assert read_png(data).settings == one


def test_an_image_is_stored_once_and_never_rewritten(store: Store) -> None:
    first = store.put(generation(), MODEL)
    written = (first.path.stat().st_ino, first.path.stat().st_mtime_ns)

    again = store.put(generation(), MODEL, clip_score=1.0)

    assert again == first
    assert (first.path.stat().st_ino, first.path.stat().st_mtime_ns) == written
    assert store.count() == 1


def test_a_file_is_replaced_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = store.folder / "images" / "file.png"
    store.files.write(target, b"before")
    before = target.stat().st_ino

    def cut_off(handle: int) -> None:
        raise OSError("the disk went away")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut_off)
        with pytest.raises(StoreError, match="the disk went away"):
            store.files.write(target, b"half")
    assert target.read_bytes() == b"before"
    store.files.write(target, b"after")
    assert target.read_bytes() == b"after"
    assert target.stat().st_ino != before, "readers of the old file keep it"
    assert list((store.folder / "tmp").iterdir()) == []


def test_a_trajectory_gives_way_only_to_one_that_holds_more(store: Store) -> None:
    digest = store.put(generation(record="none"), MODEL).digest
    assert store.trajectory(digest) is None
    assert store.holds([digest], "none") == {digest}
    assert store.holds([digest], "norms") == set()

    assert store.put(generation(record="latents"), MODEL).has_trajectory
    store.put(generation(record="norms"), MODEL)

    kept = store.trajectory(digest)
    assert kept is not None
    assert kept.records == (RECORD,)
    assert kept.latents is not None
    assert store.holds([digest], "latents") == {digest}


def test_pictures_are_found_by_every_word_of_their_prompt_newest_first(store: Store) -> None:
    prompts = ["A Red Apple", "a red car", "100% wool_hat", "ÄPFEL in a bowl", "a 'quoted' pear"]
    for seed, prompt in enumerate(prompts):
        store.put(generation(settings(seed, prompt=prompt)), MODEL)

    def found(text: str) -> list[str]:
        return [image.settings.prompt for image in store.search(Filter(text=text))]

    assert found("") == prompts[::-1]
    assert found("red") == ["a red car", "A Red Apple"]
    assert found("apple red") == ["A Red Apple"]
    assert found("0% wool_") == ["100% wool_hat"], "wildcards are letters like any other"
    assert found("%") == ["100% wool_hat"]
    assert found("äpfel") == ["ÄPFEL in a bowl"], "case is ignored beyond ASCII too"
    assert found("'quoted'") == ["a 'quoted' pear"]
    assert found("banana") == []
    assert found("half an emoji: \ud83d") == []
    assert store.count(Filter(text="red")) == 2


def test_filters_and_facets_name_what_is_stored(store: Store) -> None:
    store.put(generation(settings(1, scheduler="Euler")), MODEL)
    store.put(generation(settings(2, scheduler="DDIM")), info("other"))

    facets = store.facets()

    assert facets.schedulers == ("DDIM", "Euler")
    assert facets.models == ("Model bundled", "Model other")
    assert [image.settings.seed for image in store.search(Filter(scheduler="DDIM"))] == [2]
    assert [image.settings.seed for image in store.search(Filter(model="Model bundled"))] == [1]
    assert store.count(Filter(scheduler="Euler", model="Model other")) == 0


def test_a_thousand_images_page_in_well_under_a_second(store: Store) -> None:
    picture = store.put(generation(), MODEL)
    columns = [row[1] for row in store.database.read("PRAGMA table_info(images)")]
    copied = ", ".join(name for name in columns if name not in ("digest", "created_at"))
    with store.database.write() as connection:
        connection.executemany(
            f"INSERT INTO images (digest, created_at, {copied})"
            f" SELECT ?, ?, {copied} FROM images WHERE digest = '{picture.digest}'",
            [(f"{number:064x}", float(number)) for number in range(1, 1000)],
        )

    began = time.perf_counter()
    pages = [store.search(Filter(text="apple"), limit=24, offset=24 * page) for page in range(42)]
    assert store.count(Filter(text="apple")) == 1000
    seconds = time.perf_counter() - began

    times = [image.created_at for page in pages for image in page]
    assert len(times) == len({image.digest for page in pages for image in page}) == 1000
    assert times == sorted(times, reverse=True)
    assert seconds < 2, "all 42 pages together"


def test_deleted_images_are_gone_with_their_files(store: Store) -> None:
    kept, gone = (store.put(generation(settings(seed)), MODEL) for seed in (1, 2))

    assert store.delete([gone.digest, gone.digest, "f" * 64]) == 1

    assert store.get(gone.digest) is None
    assert not gone.path.exists()
    assert not store.files.trajectory(gone.digest).exists()
    assert store.image_bytes(kept.digest)
    with pytest.raises(StoreError, match="deleted: compute it again"):
        store.image_bytes(gone.digest)


def test_a_damaged_picture_says_so_and_is_computed_anew(store: Store) -> None:
    stored = store.put(generation(), MODEL)
    sound = stored.path.read_bytes()
    damaged = bytearray(sound)
    damaged[len(damaged) // 2] ^= 0xFF
    stored.path.write_bytes(damaged)  # the same size: only its digest tells

    with pytest.raises(StoreError, match=r"is damaged\. Generate with the same settings"):
        store.image_bytes(stored.digest)
    assert store.holds([stored.digest]) == set()

    store.put(generation(), MODEL)
    assert store.image_bytes(stored.digest) == sound


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"cut")])
def test_a_picture_lost_or_cut_short_counts_as_not_stored(store: Store, harm) -> None:
    stored = store.put(generation(), MODEL)
    harm(stored.path)

    assert store.holds([stored.digest]) == set()
    with pytest.raises(StoreError):
        store.image_bytes(stored.digest)
    store.put(generation(), MODEL)
    assert Image.open(stored.path).getpixel((0, 0)) == colour(stored.settings)


def test_a_damaged_trajectory_leaves_the_picture_usable(store: Store) -> None:
    stored = store.put(generation(), MODEL)
    path = store.files.trajectory(stored.digest)
    path.write_bytes(path.read_bytes()[:20])

    with pytest.raises(StoreError, match="trajectory is damaged"):
        store.trajectory(stored.digest)

    assert store.trajectory(stored.digest) is None
    assert store.holds([stored.digest], "norms") == set(), "asking for it records it anew"
    assert store.image_bytes(stored.digest)


def test_many_threads_store_and_read_at_once(store: Store) -> None:
    problems: list[Exception] = []

    def work(worker: int) -> None:
        try:
            for number in range(5):
                seed = worker * 5 + number
                store.put(generation(settings(seed, width=8, height=8)), MODEL)
                store.put(generation(settings(999, width=8, height=8)), MODEL)
                assert store.search(limit=3)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert store.count() == 31
    assert all(store.image_bytes(image.digest) for image in store.search(limit=99))


def test_the_folder_is_the_named_one_or_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIGHTBOX_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
    assert Store().folder == (tmp_path / "mine").resolve()
    monkeypatch.setenv("LIGHTBOX_DATA", " ")
    assert data_folder().name == "diffusion-lightbox"
    assert data_folder().is_absolute()


def test_a_folder_of_a_newer_version_is_left_alone(store: Store) -> None:
    stored = store.put(generation(), MODEL)
    with store.database.write() as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(StoreError, match="written by a newer version") as raised:
        Store(store.folder)

    assert str(len(MIGRATIONS) + 1) in str(raised.value)
    assert (
        hashlib.sha256(stored.path.read_bytes()).hexdigest()
        == (store.database.read("SELECT file_sha256 FROM images")[0][0])
    )


def test_a_folder_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    older = Store(tmp_path)
    root = older.put(generation(), MODEL)
    varied = replace(root.settings, variation_seed=5, variation_strength=0.5)
    stored = older.put(generation(varied), MODEL)
    with older.database.write() as connection:
        for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {row['name']}")
        for table in ("measures", "seen", "own_numbers"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DROP INDEX images_parent")
        connection.execute("ALTER TABLE images DROP COLUMN parent")
        connection.execute("DROP TABLE sweeps")
        connection.execute("ALTER TABLE jobs DROP COLUMN sweep")
        connection.execute("DROP TABLE tasks")
        connection.execute("DROP TABLE writing")
        connection.execute("DROP TABLE stopped")
        connection.execute("DROP TABLE ratings")
        connection.execute("DROP TABLE votes")
        connection.execute("DROP TABLE voters")
        connection.execute("DROP TABLE lesson_answers")
        connection.execute("ALTER TABLE cells DROP COLUMN planned")
        connection.execute("PRAGMA user_version = 1")
    older.close()

    newer = Store(tmp_path)

    assert newer.search() == [stored, root]
    assert (stored.parent, root.parent) == (root.digest, "")
    assert newer.database.read("PRAGMA user_version")[0][0] == len(MIGRATIONS)


def test_many_processes_may_open_a_new_folder_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, core.runs.store as s; s.Store(pathlib.Path(sys.argv[1])).count()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "data")], cwd=Path(__file__).parents[4]
        )
        for _ in range(4)
    ]
    assert [process.wait(60) for process in started] == [0] * 4


def test_pages_open_the_store_and_the_queue_without_torch() -> None:
    program = (
        "import sys, core.runs.store.store, core.runs.queue.queue, core.runs.worker.worker;"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[4]
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
