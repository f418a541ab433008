"""Rider: a request on its way in a cell of the batch."""

from __future__ import annotations

from dataclasses import dataclass

from core.diffusion.events import Request
from core.diffusion.sampling.cell import BatchCell


@dataclass(eq=False)
class Rider:
    """One request; snapshots of one run share its cell."""

    request: Request
    cell: BatchCell
    seconds: float = 0.0
    """Its share of the computing so far: of each UNet call, its rows over all rows."""
    is_announced: bool = False

    @property
    def total(self) -> int:
        """The UNet call after which this request has its picture."""
        return self.request.settings.snapshot or self.cell.total_calls
