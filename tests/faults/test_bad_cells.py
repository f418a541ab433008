"""One bad cell fails with its reason; the others go on, also after a restart."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core.diffusion.models.load import BUNDLED_FOLDER, ModelInfo
from core.diffusion.models.load import describe as describe_really
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import FakeEngine, FakeModel, Lab, describe, finish, settings

BAD = {
    "a setting of a newer version": "settings = json_set(settings, '$.entropy', 0.5)",
    "broken JSON": "settings = substr(settings, 1, 30)",
    "flipped bits in the settings": "settings = CAST(replace(settings, 'red', X'72e564') AS TEXT)",
    "flipped bits in the LoRAs": (
        "settings = CAST(replace(settings, '\"loras\": \"\"', X'226c6f726173223a2022ff22') AS TEXT)"
    ),
    "a flipped bit in the prompt": "settings = replace(settings, 'a red', 'a reD')",
    "flipped bits in the model": "model = CAST(X'62ff' AS TEXT)",
    "no number as the width": "width = 'wide'",
    "a damaged plan": "planned = '{\"rows\": []}'",
    "no digest beside its plan": "digest = NULL",
    "no count of crashes": "crashes = 'many'",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, describe=describe)


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_cell_that_cannot_be_read_fails_and_the_others_go_on(
    store: Store, queue: Queue, change: str
) -> None:
    mine = queue.submit([settings(1), settings(2)], owner="me", token="1")
    theirs = queue.submit([settings(3)], owner="them", token="1")
    with store.database.write() as connection:
        connection.execute(f"UPDATE cells SET {change} WHERE job_id = ? AND position = 0", (mine,))
    with Lab().working(store):
        assert finish(queue, theirs).state == "done"
        job = finish(queue, mine)
    assert (job.done_cells, job.failed_cells) == (1, 1)
    assert job.error.startswith("This image cannot be computed: its ")
    with Lab().working(store):  # and after a restart
        later = queue.submit([settings(4)], owner="me", token="2")
        assert finish(queue, later).state == "done"


def test_a_record_level_of_a_newer_version_fails_its_job(store: Store, queue: Queue) -> None:
    mine = queue.submit([settings(1)], owner="me", token="1")
    with store.database.write() as connection:
        connection.execute("UPDATE jobs SET record = 'all'")
    theirs = queue.submit([settings(3)], owner="them", token="1")
    with Lab().working(store):
        assert finish(queue, theirs).state == "done"
        assert finish(queue, mine).state == "failed"


def test_a_model_whose_configuration_went_wrong_while_it_waited(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "broken"
    shutil.copytree(BUNDLED_FOLDER, folder, copy_function=os.link)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path / "models"))
    queue = Queue(store)
    mine = queue.submit([GenerationSettings(model="broken")], owner="me", token="1")
    theirs = queue.submit([GenerationSettings(seed=1)], owner="them", token="1")
    (folder / "vae" / "config.json").unlink()
    (folder / "vae" / "config.json").write_text(json.dumps({"block_out_channels": 5}))

    def load(source: str) -> FakeModel:
        return FakeModel(info=describe_really(source))

    with Lab().working(store, describe=describe_really, load=load):
        assert finish(queue, theirs).state == "done"
        job = finish(queue, mine)
        assert job.state == "failed"
        assert "broken" in job.error
        late = queue.submit([GenerationSettings(model="broken", seed=2)], owner="me", token="2")
        assert finish(queue, late).state == "failed"
        again = queue.submit([GenerationSettings(seed=3)], owner="me", token="3")
        assert finish(queue, again).state == "done"


def test_asking_whether_a_model_is_on_the_hub_may_fail(store: Store, queue: Queue) -> None:
    def is_elsewhere(source: str) -> bool:
        if source == "odd":
            raise TypeError("object of type 'int' has no len()")
        return False

    mine = queue.submit([settings(1, model="odd")], owner="me", token="1")
    theirs = queue.submit([settings(2)], owner="them", token="1")
    with Lab().working(store, is_elsewhere=is_elsewhere):
        assert finish(queue, theirs).state == "done"
        assert finish(queue, mine).is_over


def test_what_the_same_unexpected_error_comes_over_twice_is_set_aside(
    store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runs.worker.worker.RETRY_SECONDS", 0.01)
    plain, tries = FakeEngine.has_room, [0]

    def has_room(self: FakeEngine, one: GenerationSettings, *, beyond: int = 0) -> bool:
        if one.seed == 13:
            tries[0] += 1
            raise ZeroDivisionError("a mistake of ours")
        return plain(self, one, beyond=beyond)

    monkeypatch.setattr(FakeEngine, "has_room", has_room)
    mine = queue.submit([settings(1), settings(13), settings(2)], owner="me", token="1")
    theirs = queue.submit([settings(3)], owner="them", token="1")
    with Lab().working(store):
        assert finish(queue, theirs).state == "done"
        job = finish(queue, mine)
    assert [cell.state for cell in queue.cells(mine)] == ["done", "failed", "done"]
    assert "a mistake of ours" in job.error
    assert tries == [2]


def test_a_model_over_which_the_worker_stumbles_twice_is_set_aside(
    store: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runs.worker.worker.RETRY_SECONDS", 0.01)
    from core.runs.worker.model.slot import ModelSlot

    plain = ModelSlot.fingerprint

    def fingerprint(self: ModelSlot, source: str) -> str:
        if source == "odd":
            raise ZeroDivisionError("a mistake of ours")
        return plain(self, source)

    monkeypatch.setattr(ModelSlot, "fingerprint", fingerprint)
    mine = queue.submit([settings(1, model="odd")], owner="me", token="1")
    theirs = queue.submit([settings(3)], owner="them", token="1")
    with Lab().working(store):
        assert finish(queue, theirs).state == "done"
        assert finish(queue, mine).state == "failed"


def test_submitting_for_a_model_that_cannot_be_described_leaves_it_to_the_worker(
    store: Store,
) -> None:
    def odd(source: str) -> ModelInfo:
        raise TypeError("object of type 'int' has no len()")

    queue = Queue(store, describe=odd)
    job_id = queue.submit([settings(1)], owner="me", token="1")
    assert [cell.state for cell in queue.cells(job_id)] == ["pending"]
