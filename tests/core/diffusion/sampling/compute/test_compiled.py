"""The compiled UNet: not before it is warm, not where it is wrong, one shape a size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from core.diffusion.sampling.compute import unet_rows as rows_module
from core.diffusion.sampling.compute.compiled import TILE, CompiledUNet, compiled_unet
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference
from tests.core.diffusion.models.lora.test_adapters import save_lora

# What torch says of itself while it compiles.
pytestmark = pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")


class Counted:
    """In the compiler's place: the twin itself, its calls counted, its answer changed."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> None:
        self.change = change
        self.rows: list[int] = []
        self.twin: Any = None

    def compile(self, twin: Any) -> Counted:
        self.twin = twin
        return self

    def __call__(self, sample: torch.Tensor, *rest: Any, **options: Any) -> Any:
        self.rows.append(len(sample))
        return (self.change(self.twin(sample, *rest, **options)[0]),)


def inputs(rows: int, side: int = 8) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    return (
        torch.randn(rows, 4, side, side, generator=generator),
        torch.linspace(1, 999, rows),
        torch.randn(rows, 77, 256, generator=generator),
    )


@pytest.fixture(autouse=True)
def to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not compiled is computed as PyTorch does, so that it can be told from what is."""
    monkeypatch.setattr(rows_module, "fast_matmul", lambda: nullcontext)


def plain(model: LoadedModel, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.no_grad():
        return model.unet(*given, return_dict=False)[0]


def test_what_the_compiler_made_is_used_once_it_is_warm(model: LoadedModel) -> None:
    """A real compilation, by the backend that takes seconds in place of minutes."""
    compiled = CompiledUNet(
        model.unet,
        compile=lambda twin: torch.compile(twin, backend="aot_eager", dynamic=False),
    )
    rows = UNetRows(model, max_rows=32, cores=1, compiled=compiled)
    given = inputs(12)
    rows(*given)
    assert compiled.wait(), "its numbers are the plain one's"
    found = rows(*given)
    torch.testing.assert_close(found, plain(model, given), atol=1e-4, rtol=1e-4)


def test_tiles_are_of_one_shape_and_few_rows_run_as_they_are(model: LoadedModel) -> None:
    counted = Counted()
    compiled = CompiledUNet(model.unet, compile=counted.compile)
    rows = UNetRows(model, max_rows=32, cores=1, compiled=compiled)
    for count in (1, 2, TILE // 2):
        rows(*inputs(count))
    assert counted.rows == [], "strict cells have one or two rows"
    rows(*inputs(16))
    compiled.wait()
    assert counted.rows[:1] == [TILE], "to see whether it is right"
    for count, calls in ((16, 2), (13, 2), (12, 1), (5, 1)):
        counted.rows.clear()
        found = rows(*inputs(count))
        assert counted.rows == [TILE] * calls
        torch.testing.assert_close(found, plain(model, inputs(count)), atol=2e-5, rtol=1e-4)
    assert len(compiled._sizes) == 1
    rows(*inputs(8, side=16))
    assert compiled.wait()
    assert len(compiled._sizes) == 2, "another size is compiled for itself"


def test_the_plain_unet_works_on_until_it_is_warm(model: LoadedModel) -> None:
    counted = Counted()
    compiled = CompiledUNet(model.unet, compile=counted.compile)
    may_go_on: list[bool] = []

    def slowly(x: torch.Tensor) -> torch.Tensor:
        while not may_go_on:
            time.sleep(0.01)
        return x

    counted.change = slowly
    rows = UNetRows(model, max_rows=32, cores=1, compiled=compiled)
    given = inputs(8)
    for _ in range(3):
        assert torch.equal(rows(*given), plain(model, given))
    assert counted.rows in ([], [TILE]), "only the check's own call"
    may_go_on.append(True)
    assert compiled.wait()


def broken(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no compiler on this machine")


@pytest.mark.parametrize(
    "change",
    [lambda x: x + 0.01, lambda x: x * torch.nan, torch.zeros_like, broken],
    ids=["off", "NaN", "collapsed", "broken"],
)
def test_wrong_numbers_are_refused_for_good(
    model: LoadedModel, change: Callable[[torch.Tensor], torch.Tensor], caplog: Any
) -> None:
    counted = Counted(change)
    compiled = CompiledUNet(model.unet, compile=counted.compile)
    rows = UNetRows(model, max_rows=32, cores=1, compiled=compiled)
    with caplog.at_level(logging.WARNING):
        rows(*inputs(8))
        assert not compiled.wait()
    assert "8 x 8" in caplog.text
    counted.rows.clear()
    assert torch.equal(rows(*inputs(8)), plain(model, inputs(8)))
    assert counted.rows == []


def test_loras_and_attention_maps_are_not_in_the_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.diffusion.models.load import load_model

    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    own = load_model("bundled", device="cpu")
    save_lora(tmp_path, "ink", own, 1)
    one = GenerationSettings(
        prompt="a red apple", seed=3, num_inference_steps=2, width=64, height=64, loras="ink:1"
    )
    cells = [replace(one, seed=seed) for seed in range(4)]
    expected = [made.image for made in Engine(own).generate(cells)]
    counted = Counted()
    compiled = CompiledUNet(own.unet, compile=counted.compile)
    monkeypatch.setattr(rows_module, "compiled_unet", lambda model: compiled)
    found = [made.image for made in Engine(own).generate(cells)]
    assert counted.rows == []
    assert [max_difference(*pair) for pair in zip(found, expected, strict=True)] == [0] * 4
    layer = own.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    twin = counted.twin.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    assert layer is not twin
    weights = {id(p) for p in own.unet.parameters()}
    assert all(id(p) in weights for p in counted.twin.parameters()), "no weight is held twice"


def test_it_is_asked_for_by_the_environment(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIGHTBOX_COMPILE", raising=False)
    assert compiled_unet(model) is None
    monkeypatch.setenv("LIGHTBOX_COMPILE", "1")
    assert (first := compiled_unet(model)) is not None
    assert compiled_unet(model) is first, "one for all engines"
