"""Parts that wait in main memory: other places, the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.diffusion.engine import Engine
from core.diffusion.models import placement
from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel, ModelError, describe, load_model
from core.diffusion.models.loading import load_folder
from core.diffusion.models.placement import OffloadMode, OnePartAtATime, bring, offload_mode, place
from core.diffusion.sampling.compute.memory import Memory
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference
from tests.core.diffusion.models.lora.test_adapters import save_lora

CPU = torch.device("cpu")
SETTINGS = GenerationSettings(
    prompt="a red apple", seed=3, num_inference_steps=2, width=64, height=64
)


def placed(mode: OffloadMode) -> LoadedModel:
    """The bundled model, whose parts are moved as on a GPU, from the CPU to the CPU."""
    info = describe("bundled")
    parts = load_folder(info, torch.float32)
    place(info, parts, CPU, torch.float32, mode)
    return LoadedModel(info=info, device=CPU, dtype=torch.float32, **parts)


@pytest.mark.parametrize("mode", ["model", "group"])
def test_what_waits_elsewhere_gives_the_same_picture(model: LoadedModel, mode: OffloadMode) -> None:
    elsewhere = placed(mode)
    varied = [SETTINGS, replace(SETTINGS, seed=4, prompt="a cat"), replace(SETTINGS, seed=5)]
    expected = Engine(model).generate(varied, strict=True)
    found = Engine(elsewhere).generate(varied, strict=True)
    for one, other in zip(found, expected, strict=True):
        assert max_difference(one.image, other.image) == 0
    (batched,) = Engine(elsewhere, max_rows=2).generate(varied[:1])
    assert max_difference(batched.image, expected[0].image) <= 2
    pipe = elsewhere.pipeline(SETTINGS.scheduler)
    own = pipe(
        SETTINGS.prompt,
        width=64,
        height=64,
        num_inference_steps=2,
        guidance_scale=SETTINGS.guidance_scale,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    assert max_difference(own, expected[0].image) == 0, "diffusers' own pipeline over the same"


@pytest.mark.parametrize("mode", ["model", "group"])
def test_a_lora_reaches_layers_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: OffloadMode
) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    here = load_model("bundled", device="cpu")
    save_lora(tmp_path, "ink", here, 1)
    inked = replace(SETTINGS, loras="ink:1")
    expected = [Engine(here).generate([one], strict=True)[0].image for one in (inked, SETTINGS)]
    engine = Engine(placed(mode))
    found = [engine.generate([one], strict=True)[0].image for one in (inked, SETTINGS)]
    assert max_difference(expected[0], expected[1]) > 0
    assert [max_difference(*pair) for pair in zip(found, expected, strict=True)] == [0, 0]


class Moved(nn.Module):
    """A part that writes down where it is sent."""

    def __init__(self, name: str, moves: list[str]) -> None:
        super().__init__()
        self.name, self.moves = name, moves

    def to(self, *places: Any, **options: Any) -> Moved:
        self.moves.append(f"{self.name} to {places[0]}")
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.moves.append(f"{self.name} runs")
        return x


def test_one_part_at_a_time_is_on_the_device() -> None:
    moves: list[str] = []
    hook = OnePartAtATime(torch.device("meta"))
    unet, vae = (placement.add_hook_to_module(Moved(name, moves), hook) for name in ("unet", "vae"))
    x = torch.zeros(1)
    for part in (unet, unet, vae, unet):
        part(x)
    bring(vae)
    assert moves == [
        *("unet to meta", "unet runs", "unet runs"),
        *("unet to cpu", "vae to meta", "vae runs"),
        *("vae to cpu", "unet to meta", "unet runs"),
        *("unet to cpu", "vae to meta"),
    ]


def test_after_a_move_that_failed_the_part_is_brought_again() -> None:
    moves: list[str] = []
    hook = OnePartAtATime(torch.device("meta"))
    unet, vae = (placement.add_hook_to_module(Moved(name, moves), hook) for name in ("unet", "vae"))
    unet(torch.zeros(1))

    def full(*places: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "to", full)
        with pytest.raises(torch.OutOfMemoryError):
            vae(torch.zeros(1))
    moves.clear()
    unet(torch.zeros(1))
    assert moves == ["unet to meta", "unet runs"]


class Ground:
    """Measures nothing but whether the UNet was there when measuring began."""

    def __init__(self, hook: OnePartAtATime) -> None:
        self.hook = hook
        self.was_here: Any = None

    def free(self) -> int:
        return 10**9

    def begin(self) -> None:
        self.was_here = self.hook.here

    def peak(self) -> int:
        return 10**6


def test_bringing_the_weights_is_not_taken_for_what_a_row_needs() -> None:
    model = placed("model")
    memory: Memory = (ground := Ground(model.unet._hf_hook))
    rows = UNetRows(model, max_rows=8, cores=1, memory=memory)
    rows(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 256))
    assert ground.was_here is model.unet


def test_the_mode_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTBOX_OFFLOAD", raising=False)
    gpu = torch.device("cuda")
    assert offload_mode(gpu) == "none"
    monkeypatch.setenv("LIGHTBOX_OFFLOAD", "group")
    assert (offload_mode(gpu), offload_mode(CPU)) == ("group", "none")
    monkeypatch.setenv("LIGHTBOX_OFFLOAD", "disk")
    with pytest.raises(ModelError, match="it takes one of none, model, group"):
        load_model(str(BUNDLED_FOLDER))


def test_without_room_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: nn.Module, *places: Any, **options: Any) -> nn.Module:
        if places and isinstance(places[0], torch.device):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self

    info = describe("bundled")
    parts = load_folder(info, torch.float32)
    for name in info.family.weighed_parts:
        monkeypatch.setattr(type(parts[name]), "to", full)
    for mode in ("none", "group"):
        with pytest.raises(ModelError, match="LIGHTBOX_OFFLOAD=model"):
            place(info, parts, CPU, torch.float32, mode)
