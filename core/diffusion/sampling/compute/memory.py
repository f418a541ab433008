"""Memory of the device: one more try when it ran out, and how many UNet rows it has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch

T = TypeVar("T")

SHARE = 0.8
"""Of the free memory that rows may fill: the rest is for the VAE, and for fragments."""


class Memory(Protocol):
    """What `RowBudget` asks of a device. All in bytes."""

    def free(self) -> int:
        """What PyTorch could still allocate."""
        ...

    def begin(self) -> None:
        """Forgets the peak: what is allocated now is the ground of the next one."""
        ...

    def peak(self) -> int:
        """The most that was allocated since `begin`, above what was then."""
        ...


class CudaMemory:
    """Counted by the caching allocator on the host: nothing here waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ground = 0

    def free(self) -> int:
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(
            self._device
        )
        return torch.cuda.mem_get_info(self._device)[0] + cached

    def begin(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)
        self._ground = torch.cuda.memory_allocated(self._device)

    def peak(self) -> int:
        return torch.cuda.max_memory_allocated(self._device) - self._ground


def device_memory(device: torch.device) -> Memory | None:
    """None where it is not measured: a CPU pages out before it refuses."""
    return CudaMemory(device) if device.type == "cuda" else None


def rows_that_fit(memory: Memory, *, used: int, rows: int) -> int:
    """How many rows fit when `rows` of them took `used` bytes, which are free again; at least 1."""
    return max(int(SHARE * memory.free() * rows / max(used, 1)), 1)


def on_device(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """(N,) float32. From memory that the device reads by itself: the caller does not wait until all
    that it was told before is done.
    """
    host = torch.tensor(values, dtype=torch.float32)
    return (
        host.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else host.to(device)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out. On a CPU PyTorch says it in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def give_back(device: torch.device) -> None:
    """Lets go of what nobody holds any more. After an except block, whose traceback does."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def with_room(device: torch.device, work: Callable[[], T], *smaller: Callable[[], T]) -> T:
    """What `work` gives. Out of memory, it is tried once more with all that can be given back,
    then each of `smaller` is; the last one's error is raised.
    """
    attempts = (work, work, *smaller)
    for attempt in attempts[:-1]:
        try:
            return attempt()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        give_back(device)
    return attempts[-1]()
