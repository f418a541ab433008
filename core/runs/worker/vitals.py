"""Vitals: what the status line tells of a worker in this process. Imports no torch."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psutil

PACE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """`rows` are UNet rows of the step that was last, steps those of single images (UNet
    calls of a cell).

    Memory in bytes: on a GPU what its allocator holds and what is free there, else what this
    process holds, with `memory_free` None: a CPU pages out before it refuses.
    """

    rows: int
    steps_per_second: float
    memory_used: int
    memory_free: int | None

    def lines(self) -> list[str]:
        """Return lines for a narrow place: memory, then what is under way, if anything is."""
        memory = f"{_size(self.memory_used)} used"
        if self.memory_free is not None:
            memory += f", {_size(self.memory_free)} free"
        if not self.rows:
            return [memory]
        rows = f"{self.rows} row{'s' if self.rows > 1 else ''} in the batch"
        pace = f" · {self.steps_per_second:.3g} steps a second" if self.steps_per_second else ""
        return [memory, rows + pace]


class Pulse:
    """Counts steps in the worker's thread; any thread may read. `now` is a monotonic clock."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._steps: deque[tuple[float, int]] = deque()
        self._last: tuple[int, float] = (0, 0.0)

    def stepped(self, *, rows: int, cells: int) -> None:
        """One step of so many images, which filled so many rows, has ended."""
        now = self._now()
        self._steps.append((now, cells))
        while now - self._steps[0][0] > PACE_SECONDS:
            self._steps.popleft()
        # The first of them only says when the time began.
        count = sum(cells for _, cells in self._steps) - self._steps[0][1]
        seconds = now - self._steps[0][0]
        self._last = (rows, count / seconds if seconds else 0.0)

    def rest(self) -> None:
        """Nothing is in flight any more."""
        if self._steps:
            self._steps.clear()
            self._last = (0, 0.0)

    def read(self, device: str) -> Vitals:
        """How it stands now, on a worker's `device` ("cpu", "cuda:0", "" for none yet)."""
        rows, pace = self._last
        used, free = _memory(device)
        return Vitals(rows=rows, steps_per_second=pace, memory_used=used, memory_free=free)


def _memory(device: str) -> tuple[int, int | None]:
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None and torch.cuda.is_initialized():
        free, _ = torch.cuda.mem_get_info(device)
        return torch.cuda.memory_reserved(device), free
    return psutil.Process().memory_info().rss, None


def _size(count: int) -> str:
    gibibytes = count / 2**30
    return f"{gibibytes:.1f} GB" if gibibytes >= 1 else f"{count / 2**20:.0f} MB"
