"""A sweep over LoRA weights through the queue: each file is loaded once, cells go by weight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.models.lora import adapters
from core.diffusion.named_files import digest_of
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from tests.core.diffusion.models.lora.test_adapters import save_lora
from tests.core.runs.doubles import GivenModels, finish, settings


def test_cells_go_weight_by_weight(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model("bundled", device="cpu")
    save_lora(tmp_path, "ink", model, 1)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    reads: list[Path] = []
    plain = adapters.load_file
    monkeypatch.setattr(adapters, "load_file", lambda path: reads.append(path) or plain(path))
    batches: list[set[str]] = []
    plain_step = Engine.step

    def step(self: Engine, *arguments: object) -> object:
        batches.append({loras_of[digest] for digest in self.active})
        return plain_step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "step", step)
    # Row by row, as a grid with the weights as columns is submitted.
    base = settings(1, num_inference_steps=2, width=64, height=64)
    wanted = [
        replace(base, seed=seed, loras=loras)
        for seed in (1, 2, 3)
        for loras in ("", "ink:0.5", "ink:1")
    ]
    loras_of = {digest_of(one, model.info.fingerprint): one.loras for one in wanted}
    queue = Queue(store)
    loads: list[str] = []

    def load(source: str) -> LoadedModel:
        loads.append(source)
        return model

    worker = Worker(store, GivenModels(load=load))
    worker.start()
    try:
        job = finish(queue, queue.submit(wanted, owner="me", token="1"), seconds=120)
    finally:
        assert worker.stop(60)
    assert (job.state, job.done_cells) == ("done", 9)
    assert (loads, len(reads)) == (["bundled"], 1)
    assert all(len(together) == 1 for together in batches)
    assert len(batches) == 3 * 2, "three seeds of one weight share their two steps"
