"""How many blocks would show a difference of a given size by a paired t test."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from core.output.effects.result import ALPHA

POWER = 0.8
MOST_BLOCKS = 1000
"""More are not counted: nobody would make the pictures."""


def blocks_needed(mean: float, deviation: float) -> int | None:
    """The fewest blocks that show a true difference of `mean` with a chance of POWER, where it has
    this standard deviation from block to block. None past MOST_BLOCKS, for no difference and for
    no deviation. At the measured size this is a guess as uncertain as the size itself.
    """
    if not mean or not deviation > 0 or not math.isfinite(mean / deviation):
        return None
    size = abs(mean) / deviation
    low, high = 2, MOST_BLOCKS
    if power_of(size, high) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(size, middle) >= POWER else (middle + 1, high)
    return low


def power_of(size: float, blocks: int) -> float:
    """The chance that a two-sided paired t test at ALPHA shows a difference of `size` standard
    deviations with so many blocks: the noncentral t distribution (Cohen 1988, ch. 2).
    """
    nct = _stats().nct
    freedom = blocks - 1
    bound = _bound(blocks)
    # Far out SciPy's distribution function is NaN, where the chance is 1 to all digits.
    shift = min(size * math.sqrt(blocks), 30 + 3 * bound)
    below, above = nct.cdf(-bound, freedom, shift), nct.sf(bound, freedom, shift)
    return float(np.nan_to_num(below) + above)


@functools.lru_cache(maxsize=2 * MOST_BLOCKS)
def _bound(blocks: int) -> float:
    return float(_stats().t.ppf(1 - ALPHA / 2, blocks - 1))


def _stats() -> Any:
    # A second to import, and only a conclusion needs it.
    from scipy import stats

    return stats
