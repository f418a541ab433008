"""A row that this version cannot read: the others are shown, it is named, its file is kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from core.runs.queue.queue import Queue
from core.runs.store import index
from core.runs.store.store import Store
from core.sweeps.sweep import Sweep
from tests.core.runs.doubles import Lab, finish, generation, info, settings

MODEL = info()


def _set(column: str, value: str) -> Callable[[sqlite3.Connection, str], None]:
    """`value` is SQL, where :old is what the column says."""
    return lambda connection, digest: connection.execute(
        f"UPDATE images SET {column} = {value.replace(':old', column)} WHERE digest = ?", (digest,)
    )


WAYS: dict[str, Callable[[sqlite3.Connection, str], None]] = {
    "a setting of a newer version": _set("settings", "json_set(:old, '$.entropy', 0.5)"),
    "a setting of another type": _set("settings", "json_set(:old, '$.seed', 'seven')"),
    "a scheduler of a newer version": _set("settings", "json_set(:old, '$.scheduler', 'Euler 9')"),
    "broken JSON": _set("settings", "substr(:old, 1, 40)"),
    "a list in place of settings": _set("settings", "'[1, 2]'"),
    "settings nested without end": _set(
        "settings", "'" + '{"seed":' * 100_000 + "0" + "}" * 100_000 + "'"
    ),
    "a text as the time": _set("created_at", "'yesterday'"),
    "no number as the duration": _set("seconds", "'fast'"),
    "flipped bits": _set("settings", "CAST(replace(:old, 'red', X'72e564') AS TEXT)"),
    "flipped bits in a name": _set("model_name", "CAST(X'4dff6c' AS TEXT)"),
    "facts that are no object": _set("computed", "'7'"),
}


@pytest.fixture(params=WAYS, ids=lambda way: way)
def ten(request: pytest.FixtureRequest, store: Store) -> tuple[Store, str]:
    """Ten pictures, the newest but two with a bad row; and its digest."""
    stored = [store.put(generation(settings(seed)), MODEL) for seed in range(10)]
    bad = stored[7].digest
    with store.database.write() as connection:
        WAYS[request.param](connection, bad)
    store.close()
    return Store(store.folder), bad


def test_nine_are_shown_and_one_is_named(ten: tuple[Store, str]) -> None:
    store, bad = ten
    assert sorted(image.settings.seed for image in store.search()) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    (named,) = store.unreadable()
    assert (named.kind, named.name) == ("picture", bad)
    assert named.reason.startswith("its ")
    assert store.count() == 9
    assert store.get(bad) is None
    assert store.files.picture(bad).exists()
    assert store.facets().schedulers == (settings().scheduler,)
    assert store.facets().models == (MODEL.name,)


def test_every_page_of_the_search_is_full(ten: tuple[Store, str]) -> None:
    store, _ = ten
    pages = [store.search(limit=3, offset=start) for start in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 3, 0]
    assert len({image.digest for page in pages for image in page}) == 9


def test_one_is_named_before_anything_is_searched(ten: tuple[Store, str]) -> None:
    store, bad = ten
    assert [one.name for one in store.unreadable()] == [bad]
    assert [one.name for one in store.unreadable()] == [bad]


def test_deleting_it_removes_its_file_and_its_name(ten: tuple[Store, str]) -> None:
    store, bad = ten
    assert store.unreadable()
    assert store.delete([bad]) == 1
    assert store.unreadable() == ()
    assert not store.files.picture(bad).exists()
    assert store.count() == 9


def test_computing_it_again_mends_it(ten: tuple[Store, str]) -> None:
    store, bad = ten
    assert store.unreadable()
    assert store.holds([bad]) == set()
    assert store.put(generation(settings(7)), MODEL).digest == bad
    assert store.unreadable() == ()
    assert store.count() == 10


def test_a_row_that_goes_bad_later_is_named_too(store: Store) -> None:
    digest = store.put(generation(), MODEL).digest
    assert store.unreadable() == ()
    with store.database.write() as connection:
        WAYS["broken JSON"](connection, digest)
    assert store.search() == []
    assert [one.name for one in store.unreadable()] == [digest]


def test_many_rows_are_looked_at_in_turns(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "CHECKED_AT_ONCE", 2)
    digests = [store.put(generation(settings(seed)), MODEL).digest for seed in range(5)]
    with store.database.write() as connection:
        WAYS["broken JSON"](connection, digests[0])
        WAYS["broken JSON"](connection, digests[4])
    assert [len(store.unreadable()) for _ in range(3)] == [1, 1, 2]


def test_children_that_can_be_read_are_found(store: Store) -> None:
    parent = store.put(generation(settings(1)), MODEL)
    varied = [
        settings(1, variation_seed=seed, variation_strength=0.2, model="bundled") for seed in (5, 6)
    ]
    children = [store.put(generation(one), MODEL) for one in varied]
    with store.database.write() as connection:
        WAYS["a setting of a newer version"](connection, children[0].digest)
    found = store.children([parent.digest], 10)
    assert [image.digest for image in found] == [children[1].digest]


@pytest.mark.parametrize(
    "sweep", ['{"base": {"entropy": 1}}', '{"base": 3, "x": 4}', "[]", "{", "7", '{"x": {"a": 1}}']
)
def test_a_saved_sweep_that_cannot_be_read_is_named(store: Store, sweep: str) -> None:
    store.save_sweep("mine", Sweep(base=settings()))
    store.save_sweep("broken", Sweep(base=settings()))
    with store.database.write() as connection:
        connection.execute("UPDATE sweeps SET sweep = ? WHERE name = 'broken'", (sweep,))
    assert [one.name for one in store.sweeps()] == ["mine"]
    assert [(one.kind, one.name) for one in store.unreadable()] == [("saved sweep", "broken")]


def test_parents_are_looked_up_past_a_bad_row(store: Store) -> None:
    digests = [store.put(generation(settings(seed)), MODEL).digest for seed in range(3)]
    with store.database.write() as connection:
        connection.execute("UPDATE images SET parent = NULL")
        WAYS["broken JSON"](connection, digests[1])
    assert Store(store.folder).count() == 2


def test_jobs_and_cells_that_can_be_read_are_shown(store: Store, queue: Queue) -> None:
    kept = queue.submit([settings(1), settings(2)], owner="me", token="1")
    lost = queue.submit([settings(3)], owner="me", token="2")
    with store.database.write() as connection:
        connection.execute("UPDATE jobs SET created_at = 'now' WHERE id = ?", (lost,))
        connection.execute("UPDATE cells SET settings = '{' WHERE position = 0")
    assert [job.id for job in queue.jobs()] == [kept]
    assert queue.job(lost) is None
    assert [cell.settings.seed for cell in queue.cells(kept)] == [2]


@pytest.mark.parametrize("sweep", ["{", "3", json.dumps({"base": {"entropy": 1}})])
def test_the_sweep_of_a_job_that_cannot_be_read_is_none(
    store: Store, queue: Queue, sweep: str
) -> None:
    job_id = queue.submit([settings(1)], owner="me", token="1", sweep=Sweep(base=settings()))
    with store.database.write() as connection:
        connection.execute("UPDATE jobs SET sweep = ?", (sweep,))
    assert queue.sweep(job_id) is None


def test_a_new_index_leaves_out_what_cannot_be_read(store: Store) -> None:
    good = store.put(generation(settings(1)), MODEL)
    strange = store.files.picture("ab" * 32)
    store.files.write(strange, good.path.read_bytes())
    store.close()
    for path in store.folder.glob("lightbox.sqlite3*"):
        path.unlink()
    again = Store(store.folder)
    assert [image.digest for image in again.search()] == [good.digest]
    assert [one.name for one in again.unreadable()] == [strange.name]
    assert strange.exists()


def test_finished_work_is_read_past_a_bad_row(store: Store, queue: Queue) -> None:
    with Lab().working(store):
        job = finish(queue, queue.submit([settings(1), settings(2)], owner="me", token="1"))
    with store.database.write() as connection:
        WAYS["broken JSON"](connection, queue.cells(job.id)[0].digest or "")
    assert queue.find_pace(info(), 2)
