"""Turns: whose cell is begun next, and when a batch makes way for another model or size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from core.runs.worker.waiting import BatchKey, Waiting

LANE_SECONDS = 2.0
"""How long a batch goes on taking cells while others wait for another size."""

LOADS_PER_TURN = 5.0
"""With another model waiting, a model works at least so many times as long as it took to load."""


class OwnerTurns:
    """Who was served longest ago: one rule for jobs and for tasks."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._count = 0

    def serve(self, owner: str) -> None:
        self._count += 1
        self._served[owner] = self._count

    def last_served(self, owner: str) -> int:
        """A number that grows with time, 0 for one who was never served."""
        return self._served.get(owner, 0)


class Turns:
    """Round robin over the owners, remembered between calls. `now` is a monotonic clock."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._owners = OwnerTurns()
        self._since = now()
        self._passed_over: set[str] = set()

    def order(self, waiting: Sequence[Waiting]) -> Iterator[Waiting]:
        """The waiting cells, always from the owner who was served longest ago.

        Call `serve` for each that takes a place; after `pass_over` the owner's other cells of
        this list are left out.
        """
        queues: dict[str, deque[Waiting]] = {}
        for cell in sorted(waiting, key=lambda cell: cell.rank):
            queues.setdefault(cell.owner, deque()).append(cell)
        self._passed_over = set()
        while queues:
            owner = min(queues, key=self._last_served)
            yield queues[owner].popleft()
            if owner in self._passed_over or not queues[owner]:
                del queues[owner]

    def pass_over(self, owner: str) -> None:
        self._passed_over.add(owner)

    def serve(self, owner: str) -> None:
        self._owners.serve(owner)

    def begin_batch(self) -> None:
        self._since = self._now()

    def is_over(self, *, is_same_model: bool, load_seconds: float) -> bool:
        """Return whether the key has had its turn, now that another one waits."""
        turn = LANE_SECONDS
        if not is_same_model:
            turn = max(turn, LOADS_PER_TURN * load_seconds)
        return self._now() - self._since >= turn

    def _last_served(self, owner: str) -> tuple[int, str]:
        return self._owners.last_served(owner), owner


def share_batch(key: BatchKey, other: BatchKey) -> bool:
    """Return whether the latents of both have one shape and the same LoRAs act, given that they
    have one model.
    """
    same_size = (key.width, key.height) == (other.width, other.height)
    return same_size and key.loras == other.loras
