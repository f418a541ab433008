"""Training beside other work on the same cores (Linux).

A niced training that keeps one thread a core loses far more than its share: each layer waits for
the thread whose core another program holds (3 samples a second instead of 50, measured with one
of two cores busy; with one thread 25). So take only as many threads as there are idle cores.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import torch

STAT = Path("/proc/stat")
LOOK_EVERY = 0.5  # seconds


class SharedCores:
    """Sets torch's threads to the cores that programs of normal priority leave idle."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled and STAT.exists()
        self.cores = torch.get_num_threads()
        self.looked = 0.0
        self.before = _busy_and_total() if self.enabled else (0, 0)

    def adapt(self) -> None:
        if not self.enabled or time.monotonic() - self.looked < LOOK_EVERY:
            return
        self.looked = time.monotonic()
        now = _busy_and_total()
        busy, total = now[0] - self.before[0], now[1] - self.before[1]
        self.before = now
        if total > 0:
            taken = busy / total * (os.cpu_count() or 1)  # cores
            threads = max(1, self.cores - math.ceil(taken - 0.3))
            if threads != torch.get_num_threads():
                torch.set_num_threads(threads)


def _busy_and_total() -> tuple[int, int]:
    """Ticks of all cores: in programs that are not niced and in the kernel; of any kind."""
    user, _nice, system, *others = (int(n) for n in STAT.read_text().split("\n")[0].split()[1:9])
    return user + system, user + _nice + system + sum(others)
