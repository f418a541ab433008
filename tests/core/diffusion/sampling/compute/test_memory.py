"""Memory that runs out, at every place: the cell finishes, nothing is kept, the next job works."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.events import Failed, Finished, Request
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.sampling import batch as denoise
from core.diffusion.sampling import vae as pixels_module
from core.diffusion.sampling.compute import unet_rows as rows_module
from core.diffusion.sampling.compute.memory import rows_that_fit, with_room
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.sampling.vae import decode
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference

SETTINGS = GenerationSettings(
    prompt="a red apple", seed=3, num_inference_steps=1, width=64, height=64
)
TIMES = 20


class RunsOut:
    """A part of the model that runs out of memory when `fails` says so, holding tensors."""

    def __init__(self, part: Callable[..., Any], fails: Iterator[bool]) -> None:
        self.part = part
        self.fails = fails
        self.failed = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if next(self.fails):
            held = torch.ones(2**20)  # 4 MB that the traceback would keep
            self.failed += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {held.numel()}")
        return self.part(*args, **kwargs)


def every_other() -> Iterator[bool]:
    while True:
        yield True
        yield False


def always() -> Iterator[bool]:
    while True:
        yield True


def tensor_bytes() -> int:
    """Of every tensor that anything still holds."""
    gc.collect()
    found = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for one in gc.get_objects()
        if type(one) in (torch.Tensor, torch.nn.Parameter)  # not what `torch.compile` traced
    }
    return sum(found.values())


PLACES = {
    "encode": ("text_encoder", "forward"),
    "source": ("vae", "encode"),
    "unet": ("unet", "forward"),
    "decode": ("vae", "decode"),
}


def read(digest: str) -> np.ndarray:
    """A source picture for each digest, so that each is encoded."""
    values = np.random.default_rng(int(digest, 16) % 1000).integers(0, 256, (64, 64, 3))
    return values.astype(np.uint8)


@pytest.mark.parametrize("place", PLACES)
def test_the_cell_finishes_and_nothing_is_kept(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    part, method = PLACES[place]
    expected = Engine(model).generate([SETTINGS], strict=True)[0].image
    engine = Engine(model, inputs=read)
    runs_out = RunsOut(getattr(getattr(model, part), method), every_other())
    monkeypatch.setattr(getattr(model, part), method, runs_out)
    before = None
    for turn in range(TIMES):
        # Another prompt each time, or it would not be encoded again; one row, and two.
        prompt = SETTINGS.prompt if place != "encode" else f"{SETTINGS.prompt} {turn}"
        is_one = place == "encode" or (place == "unet" and turn % 2)
        scale = 1.0 if is_one else SETTINGS.guidance_scale
        settings = replace(SETTINGS, prompt=prompt, guidance_scale=scale)
        if place == "source":
            settings = replace(settings, init_image=f"{turn + 1:064x}", strength=1.0)
        made = engine.generate([settings], strict=True)[0]
        assert engine.active == ()
        if settings == SETTINGS:
            assert max_difference(made.image, expected) <= 2
        if turn == 1:
            before = tensor_bytes()
    assert runs_out.failed >= TIMES
    assert before is not None
    embeddings = 77 * model.unet.config.cross_attention_dim * 4 * 2 * TIMES
    kept = embeddings if place == "encode" else 0
    assert abs(tensor_bytes() - before) <= 0.01 * before + kept
    monkeypatch.undo()
    # The next job works, at full width.
    next_job = Engine(model).generate([SETTINGS], strict=True)[0]
    assert max_difference(next_job.image, expected) == 0


def test_without_any_room_each_place_says_so(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, (part, method) in PLACES.items():
        with monkeypatch.context() as patch:
            runs_out = RunsOut(getattr(getattr(model, part), method), always())
            patch.setattr(getattr(model, part), method, runs_out)
            engine = Engine(model, inputs=read)
            source = "5e" * 32 if place == "source" else ""
            request = Request(key="a", settings=replace(SETTINGS, init_image=source))
            if place in ("encode", "source"):
                with pytest.raises(SettingsError, match="memory"):
                    engine.admit(request)
            else:
                engine.admit(request)
                events = engine.step()
                (failed,) = [event for event in events if isinstance(event, Failed)]
                assert "Out of memory" in failed.reason
            assert engine.active == ()
        assert Engine(model).generate([SETTINGS])


def test_a_decoder_without_room_goes_on_in_tiles(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Engine(model).generate([SETTINGS], strict=True)[0].image
    plain = model.vae.decode

    def decode(latents: torch.Tensor, **options: Any) -> Any:
        if not model.vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(latents, **options)

    monkeypatch.setattr(model.vae, "decode", decode)
    tiled = Engine(model).generate([SETTINGS], strict=True)[0].image
    assert not model.vae.use_tiling
    assert max_difference(tiled, expected) <= 32, "seams are blended"
    monkeypatch.setattr(pixels_module, "TILE_ABOVE", 0)
    assert Engine(model).generate([SETTINGS], strict=True)[0].image.tobytes() == tiled.tobytes()


class OutOnce:
    """Runs out of memory the first time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.function(*args, **options)


@pytest.mark.parametrize("what", ["measure", "guide", "on_device"])
def test_between_the_calls_it_is_tried_again(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    two = [replace(SETTINGS, num_inference_steps=3), replace(SETTINGS, seed=4)]
    expected = Engine(model).generate(two)
    out_once = OutOnce(getattr(denoise, what))
    monkeypatch.setattr(denoise, what, out_once)
    found = Engine(model).generate(two)
    assert out_once.calls > 1
    for one, other in zip(found, expected, strict=True):
        assert max_difference(one.image, other.image) == 0
        assert one.trajectory is not None
        assert other.trajectory is not None
        assert one.trajectory.records == other.trajectory.records


def test_a_scheduler_without_room_fails_its_own_cell(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(model)
    for key, seed in (("good", 3), ("bad", 4)):
        engine.admit(Request(key=key, settings=replace(SETTINGS, num_inference_steps=3, seed=seed)))
    engine.step()
    scheduler = engine._batch.cells[1].scheduler
    monkeypatch.setattr(scheduler, "step", OutOnce(scheduler.step))
    (failed,) = [event for event in engine.step() if isinstance(event, Failed)]
    assert failed.key == "bad"
    assert "Out of memory" in failed.reason
    (finished,) = [event for event in engine.step() if isinstance(event, Finished)]
    assert finished.key == "good"
    alone = Engine(model).generate([replace(SETTINGS, num_inference_steps=3)])[0]
    assert max_difference(finished.generation.image, alone.image) <= 2


def test_a_decoder_that_cannot_be_widened_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model("bundled", device="cpu", dtype=torch.bfloat16)
    latents = torch.zeros(1, 4, 8, 8)
    expected = decode(model, latents)
    plain, cast = model.vae.decode, pixels_module._cast

    def overflows(scaled: torch.Tensor, **options: Any) -> Any:
        return (plain(scaled, **options)[0] * torch.inf,)

    def half_done(vae: Any, dtype: torch.dtype) -> None:
        if dtype == torch.float32:
            vae.decoder.conv_in.to(dtype)
            raise torch.OutOfMemoryError("CUDA out of memory")
        cast(vae, dtype)

    with monkeypatch.context() as patch:
        patch.setattr(model.vae, "decode", overflows)
        patch.setattr(pixels_module, "_cast", half_done)
        with pytest.raises(torch.OutOfMemoryError):
            decode(model, latents)
    assert {weights.dtype for weights in model.vae.parameters()} == {torch.bfloat16}
    assert torch.equal(decode(model, latents), expected)


def test_other_errors_are_not_taken_for_it() -> None:
    calls: list[int] = []

    def broken() -> None:
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        with_room(torch.device("cpu"), broken)
    assert len(calls) == 1


@pytest.mark.parametrize("place", ["unet", "vae"])
def test_what_is_no_number_fails_its_own_cell(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """One row of a call that holds two cells."""
    seeds = {"good": 3, "bad": 4}
    engine = Engine(model)
    if place == "unet":
        plain = model.unet.forward

        def forward(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            found = plain(sample, *args, **kwargs)[0]
            found[1::2] = torch.nan  # the second cell's rows
            return (found,)

        monkeypatch.setattr(model.unet, "forward", forward)
    else:
        plain_decode = model.vae.decode
        decoded: list[int] = []

        def decode(latents: torch.Tensor, **options: Any) -> Any:
            decoded.append(1)
            found = plain_decode(latents, **options)[0]
            return (found * (torch.nan if len(decoded) > 1 else 1),)

        monkeypatch.setattr(model.vae, "decode", decode)
    for key, seed in seeds.items():
        engine.admit(Request(key=key, settings=replace(SETTINGS, seed=seed)))
    events = engine.step()
    assert [e.key for e in events if isinstance(e, Finished)] == ["good"]
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.key == "bad"
    assert "finite" in failed.reason or "numbers" in failed.reason


class FakeMemory:
    """A device with so much room, where a row takes so much."""

    def __init__(self, free: int, row: int) -> None:
        self.room, self.row = free, row
        self.rows = 0
        self.measured = 0

    def free(self) -> int:
        return self.room

    def begin(self) -> None:
        self.measured += 1

    def peak(self) -> int:
        return self.row * self.rows


class NoUNet:
    """Gives its input back and remembers the rows of each call."""

    def __init__(self, memory: FakeMemory) -> None:
        self.memory = memory
        self.seen: list[int] = []

    def __call__(self, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(len(sample))
        self.memory.rows = len(sample)
        return (sample,)


def rows_of(count: int, side: int = 8) -> tuple[torch.Tensor, ...]:
    return torch.zeros(count, 4, side, side), torch.zeros(count), torch.zeros(count, 77, 8)


def test_the_rows_of_a_batch_follow_from_measured_memory(model: LoadedModel) -> None:
    memory = FakeMemory(free=1000, row=100)
    unet = NoUNet(memory)
    small, large, tiny = ((4, side, side) for side in (8, 16, 4))
    rows = UNetRows(replace(model, unet=unet), max_rows=32, cores=1, memory=memory)
    rows(*rows_of(2))
    assert rows.max_rows_of(small) == 8, "eight of them are 80 % of what is free"
    rows(*rows_of(2))
    assert memory.measured == 1, "once a size"
    memory.row = 400
    rows(*rows_of(2, side=16))
    assert (memory.measured, rows.max_rows_of(large)) == (2, 2)
    assert rows.max_rows_of(small) == 8, "what is known of the other size stays"
    unet.seen.clear()
    assert len(rows(*rows_of(5, side=16))) == 5
    assert max(unet.seen) <= 3
    memory.row = 1
    rows(*rows_of(2, side=4))
    assert rows.max_rows_of(tiny) == 32, "never more than was asked for"


def test_rows_that_fit_are_at_least_one() -> None:
    assert rows_that_fit(FakeMemory(free=0, row=1), used=100, rows=4) == 1
    assert rows_that_fit(FakeMemory(free=1000, row=1), used=0, rows=1) == 800


def test_more_rows_are_tried_again_after_a_while(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CALLS_TO_RECOVER", 3)
    unet = NoUNet(FakeMemory(free=0, row=0))
    rows = UNetRows(replace(model, unet=unet), max_rows=4, cores=1)
    rows.max_rows = 1
    for _ in range(6):
        rows(*rows_of(1))
    assert rows.max_rows == 4
