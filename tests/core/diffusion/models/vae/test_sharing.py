"""Pictures that differ by their VAE alone come out of one denoising run: UNet rows are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.events import Failed, Finished, Request
from core.diffusion.models.load import LoadedModel, describe
from core.diffusion.models.vae import loading
from core.diffusion.models.vae.files import find_vae
from core.diffusion.models.vae.loading import with_vae
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep
from tests.conftest import max_difference
from tests.core.diffusion.models.vae.made import kl_file, kl_folder, tiny_folder
from tests.core.diffusion.sampling.test_image_to_image import BASE, INPUTS
from tests.core.runs.doubles import GivenModels, finish

NAMES = ("", "hard", "soft.safetensors", "small")
TEXT = replace(BASE, init_image="", num_inference_steps=3, scheduler="DDIM")
ROWS = 3 * 2
"""Of one run: three calls with guidance."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("vaes")
    kl_folder(root, "hard")
    kl_file(root, "soft")
    tiny_folder(root, "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTBOX_MODELS", str(root))
        yield root


@pytest.fixture
def model(narrow: LoadedModel, root: Path) -> LoadedModel:
    return narrow


@pytest.fixture
def rows(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every UNet call."""
    seen: list[int] = []
    forward = model.unet.forward

    def counted(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", counted)
    return seen


def by(*names: str, **changes: Any) -> list[GenerationSettings]:
    return [replace(TEXT, vae=name, **changes) for name in names]


@pytest.mark.parametrize("strict", [False, True])
def test_one_run_is_decoded_by_each(model: LoadedModel, rows: list[int], strict: bool) -> None:
    made = Engine(model).generate(by(*NAMES), strict=strict)
    assert sum(rows) == ROWS
    for name, one in zip(NAMES, made, strict=True):
        rows.clear()
        (alone,) = Engine(model).generate(by(name), strict=True)
        assert sum(rows) == ROWS
        assert max_difference(one.image, alone.image) <= (0 if strict else 1), name
        assert one.settings.vae == name
    assert all(max_difference(made[0].image, one.image) > 0 for one in made[1:])


def test_snapshots_and_vaes_share_one_run(model: LoadedModel, rows: list[int]) -> None:
    wanted = [*by(*NAMES, snapshot=1), *by(*NAMES, snapshot=2), *by("hard")]
    made = Engine(model).generate(wanted, strict=True)
    assert sum(rows) == ROWS
    (alone,) = Engine(model).generate(by("small", snapshot=2), strict=True)
    assert max_difference(made[7].image, alone.image) == 0


def test_a_source_that_is_encoded_is_no_shared_run(model: LoadedModel, rows: list[int]) -> None:
    """The latents begin elsewhere: each VAE's encoder says another thing of the picture."""
    engine = Engine(model, inputs=INPUTS.__getitem__)
    source = [replace(BASE, scheduler="DDIM", strength=1.0, num_inference_steps=3)]
    engine.generate([replace(source[0], vae=name) for name in NAMES], strict=True)
    assert sum(rows) == len(NAMES) * ROWS


def test_a_dropped_picture_leaves_the_others(model: LoadedModel, rows: list[int]) -> None:
    engine = Engine(model)
    for one in by(*NAMES):
        engine.admit(Request(key=one.vae, settings=one))
    engine.step()
    said = engine.prediction("small")
    assert said is not None
    shown = engine.decode(said.latents, said.overlay, said.vae)
    assert max_difference(shown, engine.decode(said.latents)) > 0, "the last sight of a stopped one"
    engine.drop("small")
    engine.drop("")
    events = [event for _ in range(2) for event in engine.step()]
    done = {event.key for event in events if isinstance(event, Finished)}
    assert (done, sum(rows), engine.active) == ({"hard", "soft.safetensors"}, ROWS, ())


@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_a_vae_that_fails_costs_its_own_picture(
    model: LoadedModel, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = with_vae(model, find_vae("hard")).vae

    def decode(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if how == "raises":
            raise ValueError("a broken decoder")
        return (torch.full((1, 3, 64, 64), torch.nan),)

    monkeypatch.setattr(hard, "decode", decode)
    engine = Engine(model)
    for one in by(*NAMES):
        engine.admit(Request(key=one.vae, settings=one, strict=True))
    events = [event for _ in range(3) for event in engine.step()]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.key == "hard"
    assert "hard" in failed.reason
    assert {e.key for e in events if isinstance(e, Finished)} == set(NAMES) - {"hard"}


def test_one_that_went_from_memory_is_loaded_again(
    model: LoadedModel, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "KEPT", 1)
    made = Engine(model).generate(by(*NAMES), strict=True)
    assert (len(made), sum(rows)) == (4, ROWS)


def plan_of(*names: str, stored: int = 0, **base: Any) -> Plan:
    sweep = Sweep(
        base=replace(TEXT, **base),
        x=Axis(name="vae", values=names),
        y=parse_axis("seed", "1-2"),
    )
    return make_plan(
        sweep, describe=describe, holds=lambda digests: list(digests)[:stored], read_source=None
    )


def test_the_plan_counts_each_run_once(root: Path) -> None:
    plan = plan_of(*NAMES)
    assert (plan.problems, plan.to_compute, plan.unet_rows) == ((), 8, 2 * ROWS)
    order = [(one.seed, one.vae) for one in plan.submission()]
    assert order == [(seed, name) for seed in (1, 2) for name in NAMES], "run by run"
    assert plan_of(*NAMES, stored=3).unet_rows == 2 * ROWS
    assert plan_of(*NAMES, stored=4).unet_rows == ROWS, "the whole first row is there"
    assert plan_of(*NAMES, init_image=BASE.init_image, strength=1.0).unet_rows == 8 * ROWS


def test_the_plan_says_every_vae_that_cannot_be_used(root: Path) -> None:
    plan = plan_of("", "gone", "hard", "ink", loras="pen:1")
    assert [(one.axis, one.value) for one in plan.problems] == [
        ("LoRA", "pen:1"),
        ("VAE", "gone"),
        ("VAE", "ink"),
    ]


def test_a_sweep_through_the_queue(
    model: LoadedModel, rows: list[int], root: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "data")
    queue = Queue(store)
    worker = Worker(store, GivenModels(load=lambda source: model))
    worker.start()
    wanted = [*by(*NAMES, seed=1), *by(*NAMES, seed=2), *by("gone")]
    try:
        job = finish(queue, queue.submit(wanted, owner="me", token="1"), seconds=120)
        assert (job.state, job.done_cells, job.failed_cells) == ("done", 8, 1)
        assert sum(rows) == 2 * ROWS
        reasons = [cell.reason for cell in queue.cells(job.id) if cell.reason]
        assert len(reasons) == 1
        assert "gone is not here" in reasons[0]
        rows.clear()
        more = [*by(*NAMES, seed=1), *by("small", seed=3)]
        again = finish(queue, queue.submit(more, owner="me", token="2"), seconds=120)
        assert (again.done_cells, sum(rows)) == (5, ROWS), "four were stored"
    finally:
        assert worker.stop(60)
    assert {image.settings.vae for image in store.search(limit=20)} == set(NAMES)
