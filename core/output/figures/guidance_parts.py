"""Guidance in the predicted picture, in two parts: along the conditional x0 and across it.

Guided x0 = x0_c + (scale - 1)(x0_c - x0_u). Sadat et al. 2024 (arXiv:2410.02416, sec. 4) split the
difference so, and weaken the part along x0_c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BOTH, ALONG, ACROSS = "Both parts", "Along only", "Across only"
CHOICES: Mapping[str, tuple[bool, bool]] = {
    BOTH: (True, True),
    ALONG: (True, False),
    ACROSS: (False, True),
}
"""Which of the two parts are kept: along, across."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GuidanceParts:
    """The conditional x0 and the two parts of x0_c - x0_u, each (C, h, w)."""

    cond: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def guided(self, scale: float, kept: str = BOTH) -> np.ndarray:
        """Return the predicted x0 at a guidance scale, with the parts that `kept` names."""
        has_along, has_across = CHOICES[kept]
        return self.cond + (scale - 1) * (has_along * self.along + has_across * self.across)


def split_guidance(x0_cond: np.ndarray, x0_uncond: np.ndarray) -> GuidanceParts:
    """Both predictions (C, h, w). Nothing is along a conditional x0 of zero."""
    difference = x0_cond - x0_uncond
    square = float(np.square(x0_cond, dtype=np.float64).sum())
    share = float((difference * x0_cond).sum(dtype=np.float64)) / square if square else 0.0
    along = share * x0_cond
    return GuidanceParts(cond=x0_cond, along=along, across=difference - along)
