"""What an image needs from the disk is looked up once, at its submission, and carried."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.diffusion.models.load import ModelInfo
from core.diffusion.models.lora import files as loras
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.named_files import digest_of
from core.diffusion.settings import GenerationSettings
from core.runs.queue.planned import Planned
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.dispatch import Dispatch
from tests.core.runs.doubles import Lab, describe, finish, info, settings


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something was asked for."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def counted(*given: Any, **named: Any) -> Any:
            found[name] += 1
            return plain(*given, **named)

        monkeypatch.setattr(owner, name, counted)

    count(GenerationSettings, "digest")
    count(GenerationSettings, "validate")
    count(Store, "get")
    count(loras, "_walked")
    return found


def many_loras(folder: Path, count: int = 60) -> None:
    for index in range(count):
        tensors = {"unet.lora_down.weight": np.full((1, 2), index, np.float32)}
        save_file(tensors, folder / f"lora{index}.safetensors")


def test_submitting_decides_everything_once(
    store: Store, counts: Counter[str], tmp_path: Path
) -> None:
    described: list[str] = []

    def counting(source: str) -> ModelInfo:
        described.append(source)
        return describe(source)

    queue = Queue(store, describe=counting)
    queue.submit([settings(seed) for seed in range(50)], owner="me", token="1")
    assert described == ["bundled"]
    assert (counts["digest"], counts["validate"]) == (50, 50)


def test_an_image_is_decided_once_from_submission_to_store(
    store: Store, queue: Queue, counts: Counter[str]
) -> None:
    with Lab().working(store):
        wanted = [settings(seed) for seed in range(5)]
        job = finish(queue, queue.submit(wanted, owner="me", token="1"))
    assert job.done_cells == 5
    assert (counts["digest"], counts["validate"]) == (5, 5)
    assert counts["get"] == 0, "a picture's own row is not read back"


def test_the_folders_of_loras_are_walked_once_a_submission(
    store: Store,
    queue: Queue,
    counts: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many_loras(tmp_path)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    wanted = [settings(seed, loras=f"lora{seed % 60}:0.5") for seed in range(400)]
    job_id = queue.submit(wanted, owner="me", token="1")
    assert counts["_walked"] == 1
    assert {cell.state for cell in queue.cells(job_id)} == {"pending"}
    assert len({cell.digest for cell in queue.cells(job_id)}) == 400


def test_the_worker_looks_through_the_folders_once_for_all_that_it_begins(
    store: Store,
    queue: Queue,
    counts: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many_loras(tmp_path, 1)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    wanted = [settings(seed, loras="lora0:0.5") for seed in range(30)]
    job_id = queue.submit(wanted, owner="me", token="1")
    with Lab().working(store):
        assert finish(queue, job_id).done_cells == 30
    assert counts["_walked"] < 10, "a search for each pass, not for each cell"


def test_the_plan_is_carried_to_the_worker(
    store: Store, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_loras(tmp_path, 2)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    one = settings(1, loras="lora1:0.5")
    queue.submit([one], owner="me", token="1")
    dispatch = Dispatch(store)
    (cell,) = dispatch.waiting(dispatch.batch_keys(), per_owner=5)
    assert cell.planned is not None
    path = tmp_path / "lora1.safetensors"
    assert cell.planned == Planned(
        settings=one,
        digest=digest_of(one, info().fingerprint),
        rows=2,
        model_fingerprint=info().fingerprint,
        model_name=info().name,
        loras=(LoraFile(sha=loras.file_sha256(path), weight=0.5, path=path),),
    )
    assert cell.digest(info().fingerprint) == cell.planned.digest


def test_a_plan_counts_the_rows_of_a_call(store: Store, queue: Queue) -> None:
    guided, unguided = settings(1), settings(2, guidance_scale=1.0)
    queue.submit([guided, unguided], owner="me", token="1")
    dispatch = Dispatch(store)
    waiting = dispatch.waiting(dispatch.batch_keys(), per_owner=5)
    rows = {cell.settings.seed: cell.planned.rows for cell in waiting if cell.planned is not None}
    assert rows == {1: 2, 2: 1}


def test_what_changed_while_it_waited_is_resolved_anew(
    store: Store, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of other weights under the digest of these would be a lie."""
    many_loras(tmp_path, 1)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    one = settings(1, loras="lora0")
    queue.submit([one], owner="me", token="1")
    dispatch = Dispatch(store)
    (cell,) = dispatch.waiting(dispatch.batch_keys(), per_owner=5)
    assert cell.planned is not None
    assert cell.digest("another model") == digest_of(one, "another model") != cell.planned.digest
    file = tmp_path / "lora0.safetensors"
    save_file({"unet.lora_down.weight": np.full((1, 2), 9, np.float32)}, file)
    os.utime(file, (1, 1))
    assert cell.digest(info().fingerprint) == digest_of(one, info().fingerprint)
    assert cell.digest(info().fingerprint) != cell.planned.digest


def test_cells_of_earlier_versions_have_no_plan(store: Store, queue: Queue) -> None:
    job_id = queue.submit([settings(1)], owner="me", token="1")
    with store.database.write() as connection:
        connection.execute("UPDATE cells SET planned = NULL")
    with Lab().working(store):
        assert finish(queue, job_id).state == "done"
    assert store.get(settings(1).digest(info().fingerprint)) is not None


def test_a_sweep_is_known_by_its_column(store: Store, queue: Queue) -> None:
    from core.sweeps.sweep import Sweep

    plain = queue.submit([settings(1)], owner="me", token="1", label="Sweep: an owl")
    sweep = queue.submit([settings(2)], owner="me", token="2", sweep=Sweep(base=settings(2)))
    kinds = {job.id: job.is_sweep for job in queue.jobs()}
    assert kinds == {plain: False, sweep: True}


def test_a_mask_is_read_once_and_one_of_which_nothing_is_left_fails_before_it_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[40:60, 40:80] = 255
    names = {"init_image": "5e" * 32, "mask_image": store.inputs.keep(mask)}
    wanted = [
        settings(seed, mask_grow=grow, width=128, height=128, **names)
        for grow in (0, -12)
        for seed in (1, 2, 3)
    ]
    reads: list[str] = []
    read = store.inputs.read
    monkeypatch.setattr(store.inputs, "read", lambda name: (reads.append(name), read(name))[1])
    queue = Queue(store, describe=describe)
    job = queue.submit(wanted, owner="a", token="t")
    cells = queue.cells(job)
    assert [cell.state for cell in cells] == ["pending"] * 3 + ["failed"] * 3
    assert {cell.reason for cell in cells[3:]} == {cells[3].reason}
    assert cells[3].reason.startswith("mask_grow: -12 shrinks the mask until nothing")
    assert reads == [names["mask_image"]] * 2, "once for each way that it is changed"
