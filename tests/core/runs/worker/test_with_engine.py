"""The worker on the real engine and the bundled model; all else runs on doubles."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import GivenModels, finish, settings, wait_for


def test_what_is_stored_is_what_the_engine_makes(store: Store) -> None:
    model = load_model("bundled")
    wanted = [settings(seed, num_inference_steps=2) for seed in (1, 2)]
    queue = Queue(store)
    worker = Worker(store, GivenModels(load=lambda source: model))
    worker.start()
    try:
        job = finish(queue, queue.submit(wanted, owner="me", token="1", strict=True), seconds=60)
        long = queue.submit([settings(3, num_inference_steps=900)], owner="me", token="2")
        queue.watch(long)
        wait_for(lambda: queue.preview(long, 0), seconds=60)
        queue.cancel(long)
        wait_for(lambda: queue.worker_status().state == "idle", seconds=60)
    finally:
        assert worker.stop(60)

    assert (job.state, job.steps_done) == ("done", 4)
    for one, direct in zip(wanted, Engine(model).generate(wanted, strict=True), strict=True):
        digest = one.digest(model.info.fingerprint)
        picture = Image.open(io.BytesIO(store.image_bytes(digest)))
        assert np.array_equal(np.asarray(picture), np.asarray(direct.image)), one
        stored, trajectory = store.get(digest), store.trajectory(digest)
        assert stored is not None
        assert stored.computed["strict"] is True
        assert stored.clip_score is not None
        assert trajectory is not None
        assert direct.trajectory is not None
        assert trajectory.records == direct.trajectory.records
    assert store.count() == 2
