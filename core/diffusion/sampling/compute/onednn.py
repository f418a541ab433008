"""Matrix products on AMD's processors, where PyTorch's own way is half as fast as oneDNN."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

CPU_INFO = Path("/proc/cpuinfo")


class OneDNNMatmul(TorchFunctionMode):
    """A context in which this thread's `linear` in float32 on a CPU is computed by oneDNN.

    PyTorch gives such products to MKL, which takes its AVX-512 path on Intel's processors alone.
    oneDNN, with which PyTorch computes convolutions, looks at what the processor can do. The sums
    are in another order: equal up to floating point. Not for use where gradients are wanted.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        return (_linear if func is functional.linear else func)(*args, **given)


def _linear(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute as `torch.nn.functional.linear`, which it is for other devices and precisions."""
    if input.device.type == "cpu" and input.dtype == weight.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return functional.linear(input, weight, bias)


def fast_matmul() -> Callable[[], AbstractContextManager[Any]]:
    """Choose what a CPU multiplies matrices in: oneDNN on AMD's, with a PyTorch that can."""
    has_operator = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    )
    return OneDNNMatmul if has_operator and _is_amd() else nullcontext


def _is_amd() -> bool:
    """Ask by the maker's name: PyTorch tells what a processor can do, and not whose it is."""
    if CPU_INFO.exists():
        return "AuthenticAMD" in CPU_INFO.read_text(errors="replace")
    return "AuthenticAMD" in platform.processor()  # Windows names the maker there
