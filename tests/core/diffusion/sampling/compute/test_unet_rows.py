"""Rows run side by side give what one call gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.diffusion.models.load import LoadedModel
from core.diffusion.sampling.compute.unet_rows import FEWEST_ROWS, UNetRows


class CountingUNet:
    """Remembers the rows of each call, and the threads that PyTorch had for it."""

    def __init__(self, unet: torch.nn.Module) -> None:
        self.unet = unet
        self.calls: list[tuple[int, int]] = []

    def __call__(self, sample: torch.Tensor, *rest: torch.Tensor, **options: object) -> object:
        self.calls.append((len(sample), torch.get_num_threads()))
        return self.unet(sample, *rest, **options)


def inputs(model: LoadedModel, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    width = model.unet.config.cross_attention_dim
    return (
        torch.randn(rows, 4, 16, 16, generator=generator),
        torch.linspace(1, 999, rows),
        torch.randn(rows, 77, width, generator=generator),
    )


@pytest.mark.parametrize(
    ("rows", "cores", "tiles"),
    [
        (2, 2, [2]),
        (5, 2, [3, 2]),
        (12, 2, [6, 6]),
        (12, 8, [2, 2, 2, 2, 2, 2]),
        (34, 2, [16, 16, 2]),
    ],
)
def test_rows_side_by_side_equal_one_call(
    model: LoadedModel, rows: int, cores: int, tiles: list[int]
) -> None:
    given = inputs(model, rows)
    unet = CountingUNet(model.unet)
    threads = torch.get_num_threads()
    found = UNetRows(replace(model, unet=unet), max_rows=64, cores=cores)(*given)
    with torch.no_grad():
        wanted = model.unet(*given, return_dict=False)[0]
    assert sorted(count for count, _ in unet.calls) == sorted(tiles)
    if rows > FEWEST_ROWS:
        assert {used for _, used in unet.calls} == {1}
    assert torch.get_num_threads() == threads
    assert not found.requires_grad
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
