"""oneDNN's matrix products are PyTorch's own, up to the order of their sums."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from core.diffusion.models.load import LoadedModel
from core.diffusion.sampling.compute import onednn as products
from core.diffusion.sampling.compute.onednn import OneDNNMatmul, fast_matmul
from core.diffusion.sampling.compute.unet_rows import UNetRows

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN"
)


def given(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", [(5, 96), (3, 77, 96), (2, 3, 4, 96), (1, 96), (96,)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_product_is_that_of_double_precision(shape: tuple[int, ...], has_bias: bool) -> None:
    values, weight, bias = given(*shape), given(48, 96), given(48) if has_bias else None
    exact = functional.linear(
        values.double(), weight.double(), None if bias is None else bias.double()
    )
    with torch.no_grad(), OneDNNMatmul():
        found = functional.linear(values, bias=bias, weight=weight)
    torch.testing.assert_close(found.double(), exact, atol=1e-4, rtol=1e-5)


def test_what_lies_crosswise_in_memory() -> None:
    values, weight = given(96, 7, 2).permute(2, 1, 0), given(96, 48).T
    with torch.no_grad(), OneDNNMatmul():
        found = functional.linear(values, weight)
    exact = values.double() @ weight.T.double()
    torch.testing.assert_close(found.double(), exact, atol=1e-4, rtol=1e-5)


def test_other_precisions_are_computed_as_they_were() -> None:
    values, weight = given(5, 96).bfloat16(), given(48, 96).bfloat16()
    with torch.no_grad(), OneDNNMatmul():
        found = functional.linear(values, weight)
    assert torch.equal(found, functional.linear(values, weight))


def test_on_amd_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(products, "CPU_INFO", info)
    found = {}
    for maker in ("AuthenticAMD", "GenuineIntel"):
        info.write_text(f"processor : 0\nvendor_id : {maker}\n")
        found[maker] = fast_matmul()
    info.unlink()
    monkeypatch.setattr("platform.processor", lambda: "AMD64 Family 25, AuthenticAMD")
    found["Windows"] = fast_matmul()
    assert found == {
        "AuthenticAMD": OneDNNMatmul,
        "GenuineIntel": nullcontext,
        "Windows": OneDNNMatmul,
    }


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_rows_of_one_cell_are_always_as_diffusers_computes_them(
    model: LoadedModel, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[int] = []

    class Counted(OneDNNMatmul):
        def __enter__(self) -> Counted:
            entered.append(1)
            return super().__enter__()

    monkeypatch.setattr("core.diffusion.sampling.compute.unet_rows.fast_matmul", lambda: Counted)
    unet = UNetRows(model, max_rows=32, cores=2)
    whole = (
        given(rows, 4, 16, 16),
        torch.linspace(1, 999, rows),
        given(rows, 77, model.unet.config.cross_attention_dim),
    )
    with torch.no_grad():
        wanted = model.unet(*whole, return_dict=False)[0]
    found = unet(*whole)
    assert bool(entered) == (rows > 2)
    if rows == 2:
        assert torch.equal(found, wanted)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
