"""How many blocks would show a difference of a given size by a paired t test."""

from __future__ import annotations

import functools
import math

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
    # Not from scipy.stats, whose every call costs a hundred times as much.
    from scipy import special

    freedom = blocks - 1
    bound = _bound(blocks)
    # Far out the distribution function is NaN, where the chance is 1 to all digits.
    shift = min(size * math.sqrt(blocks), 30 + 3 * bound)
    below, above = (special.nctdtr(freedom, shift, end) for end in (-bound, bound))
    return float(1 - above + np.nan_to_num(below))


@functools.lru_cache(maxsize=2 * MOST_BLOCKS)
def _bound(blocks: int) -> float:
    from scipy import special

    return float(special.stdtrit(blocks - 1, 1 - ALPHA / 2))
