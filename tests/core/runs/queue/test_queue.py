from __future__ import annotations

import json
import math
import threading
import time

import pytest

from core.runs.queue import bookkeeping
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.dispatch import Dispatch
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from tests.core.runs.doubles import describe, generation, info, settings


def states(queue: Queue, job_id: str) -> list[str]:
    return [cell.state for cell in queue.cells(job_id)]


def claim_all(store: Store) -> None:
    """As a worker would: everything that waits is put in flight."""
    dispatch = Dispatch(store)
    for cell in dispatch.waiting(dispatch.batch_keys(), per_owner=100):
        digest = cell.settings.digest(describe(cell.settings.model).fingerprint)
        assert dispatch.claim(cell, digest)


def test_a_job_keeps_its_cells_in_order(queue: Queue) -> None:
    wanted = [settings(seed, num_inference_steps=5 + seed) for seed in range(3)]

    job_id = queue.submit(wanted, owner="me", token="1", label="three apples")

    job = queue.job(job_id)
    assert job is not None
    assert (job.owner, job.label, job.state) == ("me", "three apples", "pending")
    assert (job.total_cells, job.done_cells, job.failed_cells) == (3, 0, 0)
    assert (job.steps_done, job.steps_total) == (0, 5 + 6 + 7)
    assert job.started_at is None
    assert job.finished_at is None
    assert job.seconds_left is None
    cells = queue.cells(job_id)
    assert [cell.settings for cell in cells] == wanted
    assert [cell.position for cell in cells] == [0, 1, 2]
    assert cells[1].digest == wanted[1].digest(info().fingerprint)
    assert queue.worker_status().waiting == 3
    assert queue.job("no such job") is None


def test_a_job_knows_its_sweep_in_every_session(queue: Queue, store: Store) -> None:
    sweep = Sweep(base=settings(), x=parse_axis("seed", "1-2"))
    wanted = [cell.settings for cell in sweep.cells()]

    job_id = queue.submit(wanted, owner="me", token="1", sweep=sweep)

    assert Queue(Store(store.folder)).sweep(job_id) == sweep
    assert queue.sweep(queue.submit(wanted, owner="me", token="2")) is None
    assert queue.sweep("no such job") is None
    with store.database.write() as connection:
        connection.execute("UPDATE jobs SET sweep = ?", (json.dumps({"newer": 1}),))
    assert queue.sweep(job_id) is None, "one of a newer version"


def test_jobs_are_found_by_the_images_that_they_share(queue: Queue) -> None:
    whole = queue.submit([settings(seed) for seed in range(4)], owner="me", token="1")
    part = queue.submit([settings(3), settings(3), settings(9)], owner="you", token="2")
    wanted = [settings(seed).digest(info().fingerprint) for seed in range(1, 5)]

    assert queue.overlaps(wanted) == {whole: 3, part: 1}
    assert queue.overlaps([]) == {}


@pytest.mark.parametrize(("scheduler", "calls"), [("Euler", 10), ("Heun", 19), ("DPM2", 19)])
def test_steps_are_counted_in_unet_calls(queue: Queue, scheduler: str, calls: int) -> None:
    one = settings(num_inference_steps=10, scheduler=scheduler)
    job = queue.job(queue.submit([one], owner="me", token="1"))
    assert job is not None
    assert job.steps_total == calls


def test_a_token_submits_once_for_each_owner(queue: Queue) -> None:
    jobs: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: jobs.append(queue.submit([settings()], owner="me", token="click"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(jobs) == 8
    assert len(set(jobs)) == 1
    assert queue.submit([settings()], owner="you", token="click") != jobs[0]
    assert len(queue.jobs()) == 2


def test_what_is_stored_is_done_before_any_worker_looks(queue: Queue, store: Store) -> None:
    store.put(generation(settings(1)), info())

    whole = queue.job(queue.submit([settings(1)], owner="me", token="1"))
    part = queue.submit([settings(1), settings(2)], owner="me", token="2")

    assert whole is not None
    assert whole.state == "done"
    assert whole.finished_at is not None
    assert states(queue, part) == ["done", "pending"]
    more = queue.submit([settings(1)], owner="me", token="3", record="latents")
    assert states(queue, more) == ["pending"], "its latents were never recorded"


def test_a_deleted_image_is_said_and_computed_again(queue: Queue, store: Store) -> None:
    stored = store.put(generation(settings(1)), info())
    job_id = queue.submit([settings(1)], owner="me", token="1")

    store.delete([stored.digest])

    (cell,) = queue.cells(job_id)
    assert (cell.state, cell.reason) == ("done", "deleted: compute again")
    assert states(queue, queue.submit([settings(1)], owner="me", token="2")) == ["pending"]


def test_settings_that_cannot_run_fail_alone_with_every_reason(queue: Queue) -> None:
    bad = settings(2, width=100, guidance_scale=math.nan)
    broken = settings(3, prompt="half \ud83d of an emoji")

    job_id = queue.submit([settings(1), bad, broken], owner="me", token="1")

    assert states(queue, job_id) == ["pending", "failed", "failed"]
    reason = queue.cells(job_id)[1].reason
    assert "width: 100 is not a multiple of 8" in reason
    assert "guidance_scale: nan is not a finite number" in reason
    job = queue.job(job_id)
    assert job is not None
    assert (job.state, job.failed_cells, job.error) == ("running", 2, reason)
    lone = queue.job(queue.submit([bad], owner="me", token="2"))
    assert lone is not None
    assert lone.state == "failed"


def test_a_model_that_is_not_here_is_left_to_the_worker(queue: Queue) -> None:
    job_id = queue.submit([settings(model="missing")], owner="me", token="1")
    (cell,) = queue.cells(job_id)
    assert (cell.state, cell.digest) == ("pending", None)


def test_cancelling_keeps_what_is_finished(queue: Queue, store: Store) -> None:
    store.put(generation(settings(1)), info())
    job_id = queue.submit([settings(1), settings(2), settings(3)], owner="me", token="1")

    queue.cancel(job_id)
    queue.cancel(job_id)

    assert states(queue, job_id) == ["done", "cancelled", "cancelled"]
    job = queue.job(job_id)
    assert job is not None
    assert job.state == "cancelled"
    assert job.finished_at is not None
    assert Dispatch(store).batch_keys() == [], "nothing is left to compute"


def test_a_cell_cancelled_just_before_it_begins_stays_cancelled(queue: Queue, store: Store) -> None:
    job_id = queue.submit([settings(1)], owner="me", token="1")
    dispatch = Dispatch(store)
    (cell,) = dispatch.waiting(dispatch.batch_keys(), per_owner=1)
    queue.cancel(job_id)

    assert not dispatch.claim(cell, "digest")
    dispatch.complete_cell(cell, "digest")
    dispatch.fail_cell(cell, "too late")
    dispatch.complete("digest", "latents")
    assert states(queue, job_id) == ["cancelled"]


def test_a_finished_job_cannot_be_cancelled(queue: Queue, store: Store) -> None:
    store.put(generation(settings(1)), info())
    job_id = queue.submit([settings(1)], owner="me", token="1")
    queue.cancel(job_id)
    job = queue.job(job_id)
    assert job is not None
    assert job.state == "done"


def test_only_failed_cells_are_tried_again(queue: Queue, store: Store) -> None:
    wanted = [settings(seed) for seed in range(3)]
    store.put(generation(wanted[0]), info())
    job_id = queue.submit(wanted, owner="me", token="1")
    claim_all(store)
    dispatch = Dispatch(store)
    dispatch.fail(wanted[1].digest(info().fingerprint), "out of memory")
    dispatch.fail(wanted[2].digest(info().fingerprint), "out of memory")
    job = queue.job(job_id)
    assert job is not None
    assert (job.state, job.error) == ("done", "out of memory")

    queue.retry_failed(job_id)

    assert states(queue, job_id) == ["done", "pending", "pending"]
    job = queue.job(job_id)
    assert job is not None
    assert (job.state, job.finished_at, job.error) == ("running", None, "")


def test_jobs_are_listed_newest_first_by_owner_and_activity(queue: Queue) -> None:
    first = queue.submit([settings(1)], owner="me", token="1")
    other = queue.submit([settings(2)], owner="you", token="2")
    last = queue.submit([settings(3)], owner="me", token="3")
    queue.cancel(last)

    assert [job.id for job in queue.jobs()] == [last, other, first]
    assert [job.id for job in queue.jobs("me")] == [last, first]
    assert [job.id for job in queue.jobs("me", active_only=True)] == [first]
    assert [job.id for job in queue.jobs(limit=1)] == [last]


def test_old_finished_jobs_are_forgotten_active_ones_never(
    queue: Queue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeping, "KEPT_JOBS", 3)
    waiting = queue.submit([settings(99)], owner="me", token="waiting")
    done = [queue.submit([settings(seed)], owner="me", token=str(seed)) for seed in range(6)]
    for job_id in done:
        queue.watch(job_id)
        queue.cancel(job_id)

    queue.submit([settings(98)], owner="me", token="the next prunes")

    assert [job_id for job_id in done if queue.job(job_id)] == done[-3:]
    assert queue.job(waiting) is not None
    assert store.database.read("SELECT COUNT(*) FROM cells")[0][0] == 3 + 2
    assert store.database.read("SELECT COUNT(*) FROM watching")[0][0] == 3


def test_watching_lasts_three_seconds_and_writes_seldom(
    queue: Queue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = queue.submit([settings(1)], owner="me", token="1")
    clock = [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    changes: list[int] = []
    other = Queue(Store(store.folder), describe=describe)
    for tenth in range(21):  # two seconds of polling, ten times a second
        clock[0] = 1000 + tenth / 10
        other.watch(job_id)
        changes.append(store.database.data_version())

    assert Dispatch(store).watched()[job_id] == pytest.approx(1002 + 3, abs=1.01)
    assert len(set(changes)) <= 3
    queue.watch("no such job")
    assert set(Dispatch(store).watched()) == {job_id}


def test_who_asks_may_look_from_the_first_step_on(queue: Queue, store: Store) -> None:
    unseen = queue.submit([settings(1)], owner="me", token="1")
    seen = queue.submit([settings(2)], owner="me", token="2", watched=True)
    bad = queue.submit([settings(3, num_inference_steps=0)], owner="me", token="3", watched=True)
    assert Dispatch(store).watched()[seen] == pytest.approx(time.time() + 3, abs=1)
    assert not {unseen, bad} & set(Dispatch(store).watched()), "there is nothing to see"


def test_time_left_is_the_remaining_steps_at_the_measured_pace(queue: Queue, store: Store) -> None:
    wanted = [settings(seed, num_inference_steps=10) for seed in range(2)]
    job_id = queue.submit(wanted, owner="me", token="1")
    claim_all(store)
    digests = [one.digest(info().fingerprint) for one in wanted]

    Dispatch(store).progress({digests[0]: (6, 10), digests[1]: (4, 10)}, {}, {job_id: 2.5})

    job = queue.job(job_id)
    assert job is not None
    assert (job.state, job.steps_done, job.steps_total) == ("running", 10, 20)
    assert job.seconds_left == pytest.approx(10 / 2.5)
    assert [cell.step for cell in queue.cells(job_id)] == [6, 4]


def test_previews_are_shown_of_running_cells_alone(queue: Queue, store: Store) -> None:
    job_id = queue.submit([settings(1), settings(2)], owner="me", token="1")
    claim_all(store)
    digest = settings(1).digest(info().fingerprint)
    Dispatch(store).progress({}, {digest: b"picture"}, {})

    assert queue.preview(job_id, 0) == b"picture"
    assert queue.preview(job_id, 1) is None
    queue.cancel(job_id)
    assert queue.preview(job_id, 0) is None
    queue.submit([settings(3)], owner="me", token="2")
    assert store.database.read("SELECT * FROM previews") == []


def test_following_ends_when_the_job_does(queue: Queue) -> None:
    job_id = queue.submit([settings(1)], owner="me", token="1")
    seen: list[str] = []
    for job in queue.follow(job_id, every=0.001):
        seen.append(job.state)
        if len(seen) == 3:
            queue.cancel(job_id)
    assert seen == ["pending", "pending", "pending", "cancelled"]


def test_without_a_worker_the_status_says_what_to_do(queue: Queue) -> None:
    status = queue.worker_status()
    assert (status.alive, status.state) == (False, "absent")
    assert "start the app" in status.message


def test_a_worker_that_died_without_a_word_is_absent(queue: Queue, store: Store) -> None:
    Dispatch(store).write_status(state="busy", device="cpu", dtype="float32", model="m", message="")
    assert queue.worker_status().state == "busy"
    with store.database.write() as connection:
        connection.execute("UPDATE worker SET heartbeat = heartbeat - 60")
    assert queue.worker_status().state == "absent"


@pytest.mark.parametrize("bad", [{"settings": []}, {"record": "everything"}])
def test_mistakes_of_a_caller_are_refused(queue: Queue, bad: dict) -> None:
    values = {"settings": [settings()], "owner": "me", "token": "1"} | bad
    with pytest.raises(ValueError, match=r"at least one image|record is one of"):
        queue.submit(**values)


def test_a_job_knows_how_long_images_of_another_model_will_take(store: Store, queue: Queue) -> None:
    """Two images with 6 steps left each, at 3 steps a second: 4 s."""
    first = queue.submit([settings(1), settings(2)], owner="me", token="1")
    claim_all(store)
    other = queue.submit([settings(3, model="model b")], owner="you", token="2")
    same = queue.submit([settings(4)], owner="you", token="3")
    assert queue.seconds_ahead(other) is None, "there is no pace yet"
    with store.database.write() as connection:
        connection.execute("UPDATE cells SET total_steps = 8, step = 2 WHERE state = 'running'")
        connection.execute("UPDATE jobs SET steps_per_second = 3 WHERE id = ?", (first,))
    assert queue.seconds_ahead(other) == 4
    assert queue.seconds_ahead(same) is None, "it joins them"


def test_only_the_newest_stopped_pictures_are_kept(
    store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runs.worker.dispatch.KEPT_STOPPED", 250)
    dispatch = Dispatch(store)
    jobs = [queue.submit([settings(seed)], owner="me", token=str(seed)) for seed in range(3)]
    for seed, job_id in enumerate(jobs):
        queue.cancel(job_id)
        digest = settings(seed).digest(info().fingerprint)
        dispatch.keep_stopped(digest, [job_id], 3, 4, bytes(100))
    assert [len(queue.stopped(job_id)) for job_id in jobs] == [0, 1, 1]
    (one,) = queue.stopped(jobs[2]).values()
    assert (one.step, one.total_steps, len(one.png)) == (3, 4, 100)
