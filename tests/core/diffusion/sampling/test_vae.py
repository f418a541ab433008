"""Pictures decoded side by side and together are those that are decoded alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from core.diffusion.sampling import vae as pixels
from core.diffusion.sampling.vae import decode, decode_each
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference


def latents(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(1, 4, 8, 8, generator=generator) for _ in range(count)]


class CountingDecoder:
    """Remembers of each call how many it decodes and with how many threads."""

    def __init__(self, decode: Any) -> None:
        self.decode = decode
        self.calls: list[tuple[int, int]] = []

    def __call__(self, scaled: torch.Tensor, **options: Any) -> Any:
        self.calls.append((len(scaled), torch.get_num_threads()))
        return self.decode(scaled, **options)


@pytest.fixture
def counting(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> CountingDecoder:
    counting = CountingDecoder(model.vae.decode)
    monkeypatch.setattr(model.vae, "decode", counting)
    return counting


def test_on_a_cpu_each_core_takes_one_at_a_time(
    model: LoadedModel, counting: CountingDecoder
) -> None:
    three = latents(3)
    expected = [decode(model, one) for one in three]
    counting.calls.clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = decode_each(model, three)
    finally:
        torch.set_num_threads(before)
    assert counting.calls == [(1, 1)] * 3
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, torch.Tensor)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_elsewhere_as_many_go_together_as_have_room(
    model: LoadedModel, counting: CountingDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the device only its type is read here, before the tensors go anywhere."""
    five = latents(5)
    expected = [decode(model, one) for one in five]
    counting.calls.clear()
    monkeypatch.setattr(pixels, "MOST_PIXELS", 2 * 64 * 64 + 1)
    monkeypatch.setattr(pixels, "with_room", lambda device, work, *smaller: work())
    found = decode_each(replace(model, device=torch.device("cuda")), five)
    assert [count for count, _ in counting.calls] == [2, 2, 1]
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, torch.Tensor)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("trouble", ["memory", "NaN"])
def test_what_one_of_them_needs_is_not_the_others_trouble(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    three = latents(3)
    expected = [decode(model, one) for one in three]
    plain = model.vae.decode

    def troubled(scaled: torch.Tensor, **options: Any) -> Any:
        if trouble == "memory" and len(scaled) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        found = plain(scaled, **options)[0]
        is_second = torch.isclose(scaled[:, 0, 0, 0], three[1][0, 0, 0, 0] / scaling)
        found[is_second] *= torch.nan if trouble == "NaN" else 1.0
        return (found,)

    scaling = model.vae.config.scaling_factor
    monkeypatch.setattr(model.vae, "decode", troubled)
    monkeypatch.setattr(pixels, "with_room", lambda device, work, *smaller: work())
    found = decode_each(replace(model, device=torch.device("cuda")), three)
    assert isinstance(found[1], torch.Tensor)
    assert torch.isnan(found[1]).all() == (trouble == "NaN")
    for index in (0, 2):
        torch.testing.assert_close(found[index], expected[index], atol=1e-5, rtol=1e-5)


def test_cells_that_end_together_are_within_the_batch_s_bounds(
    model: LoadedModel, counting: CountingDecoder
) -> None:
    cells = [
        GenerationSettings(
            prompt="a red apple", seed=seed, width=64, height=64, num_inference_steps=2
        )
        for seed in range(3)
    ]
    expected = Engine(model).generate(cells, strict=True)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        counting.calls.clear()
        found = Engine(model).generate(cells)
        assert counting.calls == [(1, 1)] * 3
        counting.calls.clear()
        Engine(model).generate(cells, strict=True)
        assert counting.calls == [(1, 2)] * 3, "strict ones as the pipeline does"
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, expected, strict=True):
        assert max_difference(one.image, other.image) <= 2
