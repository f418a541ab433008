from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.diffusion.models.load import ModelError
from core.diffusion.settings import GenerationSettings
from core.output.texts.infotext import write_png
from core.runs.queue.queue import Queue
from core.runs.store.store import Store, StoreError
from core.runs.worker import encoding, turns, worker
from core.runs.worker.dispatch import Dispatch
from core.runs.worker.worker import FolderInUse, Worker
from tests.core.runs.doubles import (
    FakeEngine,
    Lab,
    colour,
    describe,
    finish,
    generation,
    info,
    settings,
    token,
    wait_for,
)


def submit(queue: Queue, wanted: list[GenerationSettings], owner: str = "me", **options) -> str:
    return queue.submit(wanted, owner=owner, token=token(), **options)


def cell_states(queue: Queue, job_id: str) -> list[str]:
    return [cell.state for cell in queue.cells(job_id)]


def test_a_job_becomes_stored_images(store: Store, queue: Queue, lab: Lab) -> None:
    wanted = [settings(seed) for seed in range(5)]
    with lab.working(store):
        job_id = submit(queue, wanted)
        job = finish(queue, job_id)

    assert (job.state, job.done_cells, job.failed_cells) == ("done", 5, 0)
    assert job.steps_done == job.steps_total == 5 * 4
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    for cell in queue.cells(job_id):
        assert cell.digest is not None
        picture = Image.open(io.BytesIO(store.image_bytes(cell.digest)))
        assert picture.getpixel((3, 3)) == colour(cell.settings)
    stored = store.search()
    assert [image.clip_score for image in stored] == [25.0] * 5
    assert all(image.has_trajectory for image in stored)
    assert store.database.read("SELECT * FROM previews") == []


def test_a_stored_image_costs_no_model_call(store: Store, queue: Queue, lab: Lab) -> None:
    store.put(generation(settings(1)), info())
    # As submitted before the image was stored, by a process that could not describe the model.
    blind = Queue(store, describe=lambda source: describe("missing"))
    job_id = submit(blind, [settings(1)])
    assert cell_states(queue, job_id) == ["pending"]

    with lab.working(store):
        finish(queue, job_id)

    assert lab.admitted == []
    assert queue.cells(job_id)[0].digest == settings(1).digest(info().fingerprint)


def test_equal_cells_in_flight_are_computed_once(store: Store, queue: Queue, lab: Lab) -> None:
    lab.hold()
    with lab.working(store):
        first = submit(queue, [settings(1), settings(1), settings(2)], "me")
        wait_for(lambda: len(lab.admitted) == 2)
        second = submit(queue, [settings(2), settings(1)], "you")
        lab.gate.set()
        jobs = [finish(queue, job_id) for job_id in (first, second)]

    assert sorted(lab.seeds) == [1, 2]
    assert [job.state for job in jobs] == ["done", "done"]
    assert [job.done_cells for job in jobs] == [3, 2]


def test_an_image_finishes_every_cell_that_waits_for_it(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.max_rows = 2  # one cell at a time
    lab.step_seconds = 0.02
    lab.hold()
    with lab.working(store):
        first = submit(queue, [settings(1)])
        wait_for(lambda: lab.seeds == [1])
        later = submit(queue, [settings(seed) for seed in (10, 11, 12, 1)])
        lab.gate.set()
        finish(queue, first)
        assert cell_states(queue, later)[3] == "done", "before its turn came"
        finish(queue, later)
    assert lab.seeds == [1, 10, 11, 12]


def test_a_picture_is_encoded_while_the_engine_goes_on(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.max_rows = 2  # one cell at a time
    encoded_after: list[int] = []

    def slowly(*given: Any) -> bytes:
        wait_for(lambda: len(lab.batches) > 4 or len(encoded_after) > 0)
        encoded_after.append(len(lab.batches))
        return write_png(*given)

    monkeypatch.setattr(encoding, "write_png", slowly)
    with lab.working(store):
        wanted = [settings(1), settings(2)]
        job = finish(queue, submit(queue, wanted))

    assert (job.state, job.done_cells) == ("done", 2)
    assert encoded_after[0] > 4, "the second cell's steps had begun"
    assert [image.settings.seed for image in store.search()] == [2, 1]


def test_the_same_image_asked_for_while_it_is_encoded_is_not_made_again(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def held(*given: Any) -> bytes:
        begun.set()
        assert go_on.wait(20)
        return write_png(*given)

    monkeypatch.setattr(encoding, "write_png", held)
    lab.step_seconds = 0.005
    with lab.working(store):
        first = submit(queue, [settings(1), settings(2, num_inference_steps=1000)], "me")
        assert begun.wait(20)
        second = submit(queue, [settings(1)], "you")
        wait_for(lambda: cell_states(queue, second) == ["running"])
        go_on.set()
        assert finish(queue, second).state == "done"
        finish(queue, first)
    assert lab.seeds == [1, 2]


def test_cancelling_one_job_leaves_an_equal_cell_to_the_other(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.hold()
    with lab.working(store):
        mine, yours = submit(queue, [settings(1)], "me"), submit(queue, [settings(1)], "you")
        wait_for(lambda: cell_states(queue, mine) + cell_states(queue, yours) == ["running"] * 2)
        queue.cancel(mine)
        lab.gate.set()
        job = finish(queue, yours)

    assert job.state == "done"
    assert cell_states(queue, mine) == ["cancelled"]
    assert lab.dropped == []


def test_a_second_request_for_latents_records_them_and_keeps_the_picture(
    store: Store, queue: Queue, lab: Lab
) -> None:
    with lab.working(store):
        finish(queue, submit(queue, [settings(1)]))
        (image,) = store.search()
        written = image.path.stat().st_mtime_ns
        job_id = submit(queue, [settings(1), settings(1)], record="latents")
        finish(queue, job_id)

    trajectory = store.trajectory(image.digest)
    assert trajectory is not None
    assert trajectory.latents is not None
    assert image.path.stat().st_mtime_ns == written
    assert [request.record for request in lab.admitted] == ["norms", "latents"]


def test_cancelling_stops_within_one_step(store: Store, queue: Queue, lab: Lab) -> None:
    with lab.working(store):
        quick = settings(1, num_inference_steps=1)
        slow = settings(2, num_inference_steps=1000)
        lab.step_seconds = 0.01
        job_id = submit(queue, [quick, slow])
        wait_for(lambda: cell_states(queue, job_id)[0] == "done")
        wait_for(lambda: queue.cells(job_id)[1].step > 1)
        queue.cancel(job_id)
        steps = len(lab.batches)
        wait_for(lambda: lab.dropped)
        assert len(lab.batches) <= steps + 2  # the step in hand, and one that had begun unseen
        wait_for(lambda: queue.worker_status().state == "idle")

    assert cell_states(queue, job_id) == ["done", "cancelled"]
    assert [image.settings for image in store.search()] == [quick]


def test_owners_take_turns_and_each_goes_in_order(store: Store, queue: Queue, lab: Lab) -> None:
    lab.max_rows = 2  # one cell with guidance at a time
    submit(queue, [settings(seed) for seed in (10, 11, 12)], "ann")
    submit(queue, [settings(seed) for seed in (13,)], "ann")
    submit(queue, [settings(seed) for seed in (20, 21)], "bob")
    last = submit(queue, [settings(30)], "cid")
    with lab.working(store):
        finish(queue, last)
        wait_for(lambda: not queue.jobs(active_only=True))

    assert lab.seeds == [10, 20, 30, 11, 21, 12, 13]


def test_where_few_rows_have_room_a_single_image_joins_too(
    store: Store, queue: Queue, lab: Lab
) -> None:
    """The engine's rows count, not those that it was asked for."""
    lab.engine_rows = 8
    lab.hold()
    with lab.working(store):
        sweep = submit(queue, [settings(seed, num_inference_steps=50) for seed in range(20)], "me")
        wait_for(lambda: len(lab.admitted) == 4)
        single = submit(queue, [settings(99)], "you")
        wait_for(lambda: cell_states(queue, single) == ["pending"])
        lab.gate.set()
        finish(queue, single)
        assert lab.seeds.index(99) == 4, "the next after the four that were in flight"
        queue.cancel(sweep)


def test_a_single_image_joins_a_sweep_at_the_next_step(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.max_rows = 16
    lab.step_seconds = 0.005  # the sweep's cells are in flight when the image is stored
    lab.hold()
    with lab.working(store):
        sweep = submit(queue, [settings(seed, num_inference_steps=900) for seed in range(100)])
        wait_for(lambda: len(lab.admitted) == 8)
        one = submit(queue, [settings(1000)], "me")
        lab.gate.set()
        finish(queue, one)
        steps = next(i for i, batch in enumerate(lab.batches) if 1000 in batch)
        running = queue.job(sweep)
        assert running is not None
        assert running.done_cells == 0, "the single image came before any of the sweep's"
        queue.cancel(sweep)

    assert steps <= 2
    assert len(lab.batches[steps]) == 9, "beside the sweep's cells, not instead of them"


@pytest.mark.parametrize("steps", [20, 100, 1000])
@pytest.mark.parametrize("rows", [2, 4, 32])
def test_a_single_image_of_another_size_joins_within_three_steps(
    store: Store, queue: Queue, lab: Lab, steps: int, rows: int
) -> None:
    """However many steps the cells of the sweep have left, and however few rows have room."""
    lab.max_rows = rows
    lab.step_seconds = 0.002
    with lab.working(store):
        sweep = submit(
            queue, [settings(seed, num_inference_steps=steps) for seed in range(100)], "me"
        )
        wait_for(lambda: len(lab.batches) > 3)
        lab.hold()
        one = submit(queue, [settings(1000, width=256)], "you")
        asked = len(lab.batches)
        lab.gate.set()
        assert finish(queue, one).state == "done"
        began = next(i for i, batch in enumerate(lab.batches) if 1000 in batch)
        assert began - asked <= 3
        assert len(lab.batches[began]) == rows // 2 + 1, "the sweep's cells go on beside it"
        queue.cancel(sweep)


def test_a_sweep_begins_beside_a_single_image_of_another_size(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.step_seconds = 0.002
    with lab.working(store):
        one = submit(queue, [settings(1000, width=256, num_inference_steps=1000)], "you")
        wait_for(lambda: lab.batches)
        sweep = submit(queue, [settings(seed) for seed in range(10)], "me")
        assert finish(queue, sweep).state == "done"
        single = queue.job(one)
        assert single is not None
        assert single.state == "running"
        queue.cancel(one)


@pytest.mark.parametrize("is_large", [False, True])
def test_another_model_comes_to_its_turn_however_many_images_arrive(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """Images of ever other sizes, one with every step, alone and beside a sweep."""
    monkeypatch.setattr(turns, "LANE_SECONDS", 0.05)
    count = [0]

    def arrive(engine: FakeEngine) -> None:
        if count[0] < 150 and engine.model.info.source == "bundled":
            count[0] += 1
            submit(queue, [settings(count[0], width=64 + 8 * (count[0] % 20))], "ann")

    lab.before_step = arrive
    with lab.working(store):
        submit(queue, [settings(900)], "ann")
        if is_large:
            submit(queue, [settings(seed) for seed in range(1000, 1100)], "cid")
        wait_for(lambda: count[0] > 3)
        assert finish(queue, submit(queue, [settings(5, model="model b")], "bob")).state == "done"
        assert count[0] < 150, "they had not ended yet"
        wait_for(lambda: not queue.jobs(active_only=True), 120)


def test_finished_places_are_taken_by_waiting_cells(store: Store, queue: Queue, lab: Lab) -> None:
    lab.max_rows = 4
    wanted = [settings(seed, num_inference_steps=steps) for seed, steps in enumerate((2, 6, 2, 2))]
    with lab.working(store):
        finish(queue, submit(queue, wanted))

    assert lab.batches == [(0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3)]


def test_another_size_waits_its_turn_but_not_for_the_whole_sweep(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One large job at a time: rows of one size go through the UNet together."""
    monkeypatch.setattr(turns, "LANE_SECONDS", 0.05)
    lab.max_rows = 4
    lab.step_seconds = 0.005
    with lab.working(store):
        sweep = submit(queue, [settings(seed) for seed in range(60)], "ann")
        wide = submit(queue, [settings(seed, width=256) for seed in range(500, 506)], "bob")
        finish(queue, wide)
        left = queue.job(sweep)
        assert left is not None
        assert left.done_cells < 60
        assert finish(queue, sweep).done_cells == 60

    assert all(len({seed >= 500 for seed in batch}) == 1 for batch in lab.batches)


def test_one_model_is_in_memory_and_changes_when_its_cells_are_done(
    store: Store, queue: Queue, lab: Lab
) -> None:
    alternating = [settings(seed, model=f"model {seed % 2}") for seed in range(8)]
    job_id = submit(queue, alternating)
    with lab.working(store):
        job = finish(queue, job_id)

    assert job.state == "done"
    assert sorted(lab.loaded) == ["model 0", "model 1"], "each is loaded once"
    assert all(len({seed % 2 for seed in batch}) == 1 for batch in lab.batches)
    for cell in queue.cells(job_id):
        assert cell.digest is not None
        image = store.get(cell.digest)
        assert image is not None
        assert image.model_name == f"Model {cell.settings.model}"


def test_two_names_of_one_model_are_loaded_once(store: Store, lab: Lab) -> None:
    def alias(source: str):
        return info("bundled")

    queue = Queue(store, describe=alias)
    with lab.working(store, describe=alias, load=lambda source: lab.load("bundled")):
        finish(queue, submit(queue, [settings(1, model="bundled"), settings(2, model="/a/link")]))

    assert lab.loaded == ["bundled"]
    assert lab.batches[0] == (1, 2), "in one batch"


def test_a_failed_cell_has_its_reason_and_the_others_go_on(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.fails = lambda one: "the latents are not finite" if one.seed == 2 else ""
    with lab.working(store):
        job_id = submit(queue, [settings(seed) for seed in range(4)])
        job = finish(queue, job_id)

    assert (job.state, job.done_cells, job.failed_cells) == ("done", 3, 1)
    assert job.error == queue.cells(job_id)[2].reason == "the latents are not finite"
    assert cell_states(queue, job_id) == ["done", "done", "failed", "done"]
    assert store.count() == 3


def test_an_engine_that_breaks_fails_its_cells_and_the_next_job_runs(
    store: Store, queue: Queue, lab: Lab
) -> None:
    def explode(engine: FakeEngine) -> None:
        if any(request.settings.seed == 13 for request, _ in engine.cells.values()):
            raise RuntimeError("CUDA error: device-side assert\nand a long trace")

    lab.before_step = explode
    with lab.working(store) as one:
        job_id = submit(queue, [settings(13), settings(14)])
        job = finish(queue, job_id)
        assert one.is_running
        assert finish(queue, submit(queue, [settings(15)])).state == "done"

    assert job.state == "failed"
    reasons = {cell.reason for cell in queue.cells(job_id)}
    assert len(reasons) == 1
    assert "CUDA error: device-side assert" in reasons.pop()
    assert "trace" not in job.error
    assert lab.loaded == ["bundled"], "the weights stayed"


def test_a_model_that_cannot_be_loaded_fails_its_cells_alone(
    store: Store, queue: Queue, lab: Lab
) -> None:
    def load(source: str):
        if source == "broken":
            raise OSError("unexpected end of file\nmore")
        return lab.load(source)

    wanted = [settings(1, model="missing"), settings(2, model="broken"), settings(3)]
    with lab.working(store, load=load):
        job_id = submit(queue, wanted)
        job = finish(queue, job_id)

    missing, broken, sound = queue.cells(job_id)
    assert (missing.state, missing.reason) == ("failed", "missing is no model: give a folder.")
    assert broken.reason == "broken could not be loaded: unexpected end of file"
    assert (sound.state, job.state) == ("done", "done")


def test_a_wrong_name_does_not_unload_the_model_in_use(
    store: Store, queue: Queue, lab: Lab
) -> None:
    with lab.working(store):
        finish(queue, submit(queue, [settings(1)]))
        finish(queue, submit(queue, [settings(1, model="missing")]))
        finish(queue, submit(queue, [settings(2)]))
    assert lab.loaded == ["bundled", "missing"], "bundled is loaded once"


def test_a_store_that_fails_for_a_while_is_waited_for(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.02)
    is_full = [True]
    for name in ("complete", "fail", "release"):
        original = getattr(Dispatch, name)

        def limited(self, *values, _original=original) -> None:
            if is_full[0]:
                raise StoreError("The disk is full.")
            _original(self, *values)

        monkeypatch.setattr(Dispatch, name, limited)
    lab.step_seconds = 0.005  # the second is in flight when the first is stored
    with lab.working(store) as one:
        job_id = submit(queue, [settings(1), settings(2, num_inference_steps=200)])
        wait_for(lambda: queue.worker_status().state == "failed")
        assert queue.worker_status().message == "The disk is full."
        assert cell_states(queue, job_id) == ["running", "running"]
        is_full[0] = False
        assert finish(queue, job_id).done_cells == 2
        assert one.is_running
        wait_for(lambda: queue.worker_status().state == "idle")

    assert lab.seeds == [1, 2, 2], "the first had been stored"


def test_an_error_of_our_own_does_not_end_the_thread(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.02)
    errors = [ZeroDivisionError("a mistake")]
    original = Dispatch.complete

    def faulty(self, *values) -> None:
        if errors:
            raise errors.pop()
        original(self, *values)

    monkeypatch.setattr(Dispatch, "complete", faulty)
    lab.step_seconds = 0.005  # the second is in flight when the first is stored
    with lab.working(store) as one:
        job_id = submit(queue, [settings(1), settings(2, num_inference_steps=1000)])
        finish(queue, job_id)
        assert one.is_running

    stored, blamed = queue.cells(job_id)
    assert (stored.state, blamed.state) == ("done", "failed")
    assert "a mistake" in blamed.reason


def test_settings_the_engine_refuses_fail_with_its_words(
    store: Store, queue: Queue, lab: Lab
) -> None:
    # Valid where it was submitted, by a process that took the model's factor for another.
    with store.database.write():
        pass
    job_id = submit(queue, [settings(1), settings(2)])
    with store.database.write() as connection:
        bad = settings(1, num_inference_steps=0)
        connection.execute(
            "UPDATE cells SET planned = NULL,"
            " settings = json_replace(settings, '$.num_inference_steps', 0)"
            " WHERE position = 0"
        )
    with lab.working(store):
        finish(queue, job_id)

    refused, sound = queue.cells(job_id)
    assert refused.settings == bad
    assert "num_inference_steps: 0 is outside 1 to 1000" in refused.reason
    assert sound.state == "done"


def test_a_score_that_cannot_be_computed_costs_no_picture(
    store: Store, queue: Queue, lab: Lab
) -> None:
    def score(image: Image.Image, prompt: str, folder: Path) -> float:
        raise RuntimeError("no CLIP")

    with lab.working(store, score=score):
        assert finish(queue, submit(queue, [settings(1)])).state == "done"
    assert [image.clip_score for image in store.search()] == [None]


def test_a_picture_is_scored_by_what_it_was_told_last(store: Store, queue: Queue, lab: Lab) -> None:
    asked: list[str] = []

    def score(image: Image.Image, prompt: str, folder: Path) -> float:
        asked.append(prompt)
        return 25.0

    with lab.working(store, score=score):
        changing = replace(settings(1), prompt="a [red:blue:0.5] cat")
        assert finish(queue, submit(queue, [changing])).state == "done"
    assert asked[-1] == "a blue cat"


def test_progress_and_time_left_are_seen_while_it_runs(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.step_seconds = 0.02
    with lab.working(store):
        job_id = submit(queue, [settings(seed, num_inference_steps=60) for seed in range(2)])
        seen = list(queue.follow(job_id, every=0.02))

    steps = [job.steps_done for job in seen]
    assert steps == sorted(steps)
    assert len(set(steps)) > 4
    guesses = [job.seconds_left for job in seen if job.seconds_left]
    assert guesses[0] > guesses[-1] > 0
    assert seen[-1].seconds_left is None


def test_progress_is_written_ten_times_a_second_whatever_the_steps(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    original = Dispatch.progress

    def counted(self, *values) -> None:
        written.append(time.monotonic())
        original(self, *values)

    monkeypatch.setattr(Dispatch, "progress", counted)
    lab.step_seconds = 0.002
    with lab.working(store):
        began = time.monotonic()
        job_id = submit(queue, [settings(seed, num_inference_steps=200) for seed in range(8)])
        queue.watch(job_id)
        finish(queue, job_id)
        seconds = time.monotonic() - began

    assert len(lab.batches) == 200
    assert 1 <= len(written) <= seconds * 10 + 1


def test_previews_are_made_only_while_someone_looks_and_four_a_second(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.step_seconds = 0.005
    with lab.working(store):
        unseen = submit(queue, [settings(seed, num_inference_steps=60) for seed in range(4)])
        finish(queue, unseen)
        assert lab.previews == []

        job_id = submit(
            queue, [settings(seed, num_inference_steps=1000) for seed in range(10, 14)], "me"
        )
        other = submit(queue, [settings(99, num_inference_steps=1000)], "you")
        queue.watch(job_id)
        wait_for(lambda: len(lab.previews) >= 8)
        picture = queue.preview(job_id, 0)
        assert queue.preview(other, 0) is None
        queue.cancel(job_id)
        queue.cancel(other)

    assert picture is not None
    assert Image.open(io.BytesIO(picture)).size == (16, 16)
    gaps = [b - a for (a, _), (b, _) in zip(lab.previews, lab.previews[1:], strict=False)]
    assert max(gaps[:3]) < 0.2, "the first look shows all of them"
    assert min(gaps[3:]) >= 0.24
    assert len({key for _, key in lab.previews}) == 4, "each of the watched cells in turn"


def test_who_asked_and_looks_sees_the_first_step(store: Store, queue: Queue, lab: Lab) -> None:
    seen: list[int] = []
    lab.before_step = lambda engine: seen.append(len(lab.previews))
    with lab.working(store):
        wanted = [settings(seed, num_inference_steps=2) for seed in range(4)]
        finish(queue, queue.submit(wanted, owner="me", token="1", watched=True))
    assert seen == [0, 4], "none before the first step, and one of every cell with it"


def test_stopping_lets_cells_wait_again_without_blame(store: Store, queue: Queue, lab: Lab) -> None:
    lab.step_seconds = 0.01
    with lab.working(store):
        job_id = submit(queue, [settings(1, num_inference_steps=1000)])
        wait_for(lambda: cell_states(queue, job_id) == ["running"])
        assert queue.worker_status().state in ("loading", "busy")
    for _ in range(4):
        assert cell_states(queue, job_id) == ["pending"]
        with lab.working(store):
            wait_for(lambda: cell_states(queue, job_id) == ["running"])

    assert queue.worker_status().state == "absent"
    assert store.database.read("SELECT crashes FROM cells")[0][0] == 0


def test_a_worker_can_be_started_again_and_finishes_what_waited(
    store: Store, queue: Queue, lab: Lab
) -> None:
    one = lab.worker(store)
    one.start()
    one.start()
    assert one.stop()
    job_id = submit(queue, [settings(1)])
    one.start()
    finish(queue, job_id)
    assert one.stop()
    assert lab.loaded == ["bundled"]


def test_the_third_crash_sets_a_cell_aside_and_its_neighbours_finish(
    store: Store, queue: Queue, lab: Lab
) -> None:
    """A crash leaves the cells in flight as running in the tables; two of three ran with 13."""
    job_id = submit(queue, [settings(seed) for seed in (12, 13, 14)])

    def crash(seeds: set[int]) -> None:
        dispatch = Dispatch(store)
        for cell in dispatch.waiting(dispatch.batch_keys(), per_owner=9):
            if cell.settings.seed in seeds:
                dispatch.claim(cell, cell.settings.digest(info().fingerprint))
        dispatch.recover()

    crash({12, 13, 14})
    assert cell_states(queue, job_id) == ["pending"] * 3
    crash({12, 13, 14})
    assert cell_states(queue, job_id) == ["pending"] * 3
    crash({13})
    assert cell_states(queue, job_id) == ["pending", "failed", "pending"]
    with lab.working(store):
        job = finish(queue, job_id)

    assert cell_states(queue, job_id) == ["done", "failed", "done"]
    assert "stopped unexpectedly 3 times" in job.error
    assert all(len(batch) == 1 for batch in lab.batches), "suspects run alone"


def test_the_status_names_model_device_and_what_it_does(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.hold()
    with lab.working(store, preload="bundled"):
        wait_for(lambda: queue.worker_status().state == "idle")
        status = queue.worker_status()
        assert (status.alive, status.device, status.dtype) == (True, "cpu", "float32")
        assert status.model == "Model bundled"
        submit(queue, [settings(1)])
        wait_for(lambda: queue.worker_status().state == "busy")


def test_a_bundled_model_that_is_missing_is_said_in_the_status(
    store: Store, queue: Queue, lab: Lab
) -> None:
    with lab.working(store, preload="missing bundle"):
        wait_for(lambda: queue.worker_status().state == "idle")
        assert queue.worker_status().message == "missing bundle is no model: give a folder."


def test_a_long_step_does_not_look_like_death(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.02)
    lab.hold()
    with lab.working(store):
        submit(queue, [settings(1)])
        wait_for(lambda: queue.worker_status().state == "busy")

        def heartbeat() -> float:
            return store.database.read("SELECT heartbeat FROM worker")[0][0]

        before = heartbeat()
        wait_for(lambda: heartbeat() > before)


def test_a_folder_has_one_worker(store: Store, lab: Lab) -> None:
    with lab.working(store), pytest.raises(FolderInUse, match="in use by another") as raised:
        lab.worker(Store(store.folder)).start()
    assert raised.value.pid is not None
    assert "LIGHTBOX_DATA" in str(raised.value)
    with lab.working(Store(store.folder)):
        pass


def test_the_shared_worker_is_one_for_all_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: Lab
) -> None:
    """As pages open at once, and again after "Clear cache"."""
    monkeypatch.setattr(worker, "BUNDLED", None)
    monkeypatch.setattr(worker, "_shared", {})
    workers: list[Worker] = []
    barrier = threading.Barrier(6)

    def open_page() -> None:
        barrier.wait()
        workers.append(Worker.shared(tmp_path / "data"))

    threads = [threading.Thread(target=open_page) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(workers) == 6
    assert len(set(map(id, workers))) == 1
    assert workers[0].is_running
    assert workers[0].stop()
    assert Worker.shared(tmp_path / "data") is workers[0], "started again, not built again"
    assert workers[0].is_running
    assert workers[0].stop()


def test_an_unknown_model_error_reaches_the_page(store: Store, lab: Lab) -> None:
    """With the real describe: a folder that is no model."""
    queue = Queue(store)

    def load(source: str):
        raise ModelError(f"{source!r} is no diffusers model")

    with lab.working(store, load=load):
        job_id = submit(queue, [settings(1, model=str(store.folder))])
        assert finish(queue, job_id).error == f"{str(store.folder)!r} is no diffusers model"


def test_what_is_stopped_on_its_way_keeps_its_last_prediction(
    store: Store, queue: Queue, lab: Lab
) -> None:
    lab.max_rows = 4
    lab.step_seconds = 0.002
    with lab.working(store):
        job_id = submit(queue, [settings(seed, num_inference_steps=900) for seed in range(5)])
        wait_for(lambda: queue.cells(job_id)[1].step > 3)
        queue.cancel(job_id)
        wait_for(lambda: len(queue.stopped(job_id)) == 2)
        found = queue.stopped(job_id)
        wait_for(lambda: queue.worker_status().state == "idle")

    assert set(found) == {0, 1}, "the three that had not begun have come to nothing"
    for position, one in found.items():
        assert 3 <= one.step < one.total_steps == 900
        picture = Image.open(io.BytesIO(one.png))
        assert picture.getpixel((0, 0)) == colour(settings(position, num_inference_steps=900))
    assert store.count() == 0, "it is no picture of these settings"
    assert queue.stopped(submit(queue, [settings(9)])) == {}


def test_what_cannot_be_decoded_stops_nothing(
    store: Store, queue: Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeEngine, latents: Any) -> Image.Image:
        raise RuntimeError("not finite")

    monkeypatch.setattr(FakeEngine, "decode", fail)
    lab.step_seconds = 0.002
    with lab.working(store):
        job_id = submit(queue, [settings(1, num_inference_steps=900)])
        wait_for(lambda: queue.cells(job_id)[0].step > 1)
        queue.cancel(job_id)
        assert finish(queue, submit(queue, [settings(2)])).state == "done"
    assert queue.stopped(job_id) == {}
