"""What was found in a grid: differences, curves and shares, as values and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.output.effects.grid import Factor, Measure

LEVEL = 0.95
"""Every interval's confidence."""
ALPHA = 1 - LEVEL

TermKind = Literal["factor", "interaction", "block", "rest"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval of LEVEL, in the units of what it belongs to."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Say whether the value lies within, its ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much a measure differs between two levels of a factor: the level `end` minus `start`.

    `by_block` has one number for each of `blocks`: the mean over those cells of the other factors
    that have both levels; `mean` is the mean of these, None without any. `interval` and `p` are
    of the paired t test, which needs two blocks; `bootstrap` resamples blocks, and needs five.
    They are None where there are fewer, or all differ by exactly as much; `note` says so.
    `p_holm` is `p` corrected for the `comparisons` of this measure. `agree` blocks have the sign of
    the mean. `needed` blocks would show a difference of this size with 80 % power; None where
    there is none or the number is past power.MOST_BLOCKS. `pairs` of `possible_pairs` cells exist.
    """

    factor: str
    measure: str
    start: int
    end: int
    blocks: tuple[str, ...]
    by_block: tuple[float, ...]
    mean: float | None
    interval: Interval | None
    bootstrap: Interval | None
    p: float | None
    p_holm: float | None
    comparisons: int
    agree: int
    needed: int | None
    pairs: int
    possible_pairs: int
    note: str

    @property
    def is_shown(self) -> bool:
        """Say whether the interval leaves 0 out and the corrected p is at most ALPHA."""
        return (
            self.interval is not None
            and not self.interval.holds(0)
            and self.p_holm is not None
            and self.p_holm <= ALPHA
        )


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A measure over the levels of a factor, averaged over the other factors.

    `lines` has a line for each of `blocks`, with a number or None (a gap) for each level. `mean`
    and `band` are over the `complete` blocks, which have all levels. The band is the interval
    within blocks (Morey 2008, doi:10.20982/tqmp.04.2.p061): what all levels of a block have in
    common is left out of it, as in a paired test. None with fewer than two complete blocks.
    """

    factor: str
    measure: str
    blocks: tuple[str, ...]
    lines: tuple[tuple[float | None, ...], ...]
    mean: tuple[float | None, ...]
    band: tuple[Interval | None, ...]
    complete: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of all variance goes with a term: 0 to 1, and the shares of a table add to 1.

    (With distances that no points in space have, a share may be below 0.) `factors` are
    the names that make up the term: one of a factor, several of an interaction, none of the block
    and of the rest, which is how effects differ from block to block. `interval` by bootstrap over
    blocks, `p` by permutation within blocks, which cannot be below `smallest_p`, and `by_chance`
    the mean share of these permutations: each is None where there are too few blocks, and the
    last three are for factors and interactions alone.
    """

    kind: TermKind
    factors: tuple[str, ...]
    label: str
    share: float
    interval: Interval | None
    p: float | None
    smallest_p: float | None
    by_chance: float | None = None


@dataclass(frozen=True, kw_only=True)
class ShareTable:
    """The shares of one measure, or of the picture itself (`is_picture`).

    `shares` is empty where nothing differs or no balanced part is left: `note` says so, and it
    says which part was taken where cells are missing. `cells` of `all_cells` are in that part,
    with `blocks` blocks. `permutations` were drawn for each p, 0 for none.
    """

    measure: str
    label: str
    is_picture: bool
    shares: tuple[Share, ...]
    blocks: int
    cells: int
    all_cells: int
    permutations: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Effects:
    """All that one grid supports. With one block it is what happened once: no interval, no p.

    `missing` and `left_out` are the grid's sentences. `resamples` for each bootstrap, by `seed`.
    """

    factors: tuple[Factor, ...]
    measures: tuple[Measure, ...]
    blocks: tuple[str, ...]
    block_label: str
    curves: tuple[Curve, ...]
    differences: tuple[Difference, ...]
    shares: tuple[ShareTable, ...]
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    resamples: int
    seed: int

    @property
    def is_once(self) -> bool:
        """Say whether there are fewer than two blocks."""
        return len(self.blocks) < 2

    @property
    def has_parts(self) -> bool:
        """Say whether there is more than one thing that differences can go with."""
        return not self.is_once or len(self.factors) > 1

    def factor(self, name: str) -> Factor:
        """Raises KeyError for a name that no factor has."""
        return {factor.name: factor for factor in self.factors}[name]

    def measure(self, name: str) -> Measure:
        """Raises KeyError for a name that no measure has."""
        return {measure.name: measure for measure in self.measures}[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: `effects` with a row for each difference, `shares` with one for each term,
        and what they rest on.
        """
        return {
            "factors": [asdict(factor) for factor in self.factors],
            "measures": [asdict(measure) for measure in self.measures],
            "paired_by": self.block_label,
            "blocks": list(self.blocks),
            "level": LEVEL,
            "resamples": self.resamples,
            "effects": [self._difference_row(one) for one in self.differences],
            "shares": [_share_row(table, share) for table in self.shares for share in table.shares],
            "missing": list(self.missing),
            "left_out": list(self.left_out),
            "notes": self._notes(),
        }

    def _difference_row(self, one: Difference) -> dict[str, Any]:
        levels = self.factor(one.factor).levels
        return {
            "axis": one.factor,
            "measure": one.measure,
            "from": levels[one.start],
            "to": levels[one.end],
            "difference": one.mean,
            **_ends("", one.interval),
            **_ends("bootstrap_", one.bootstrap),
            "agree": one.agree,
            "seeds": len(one.blocks),
            "p": one.p,
            "p_holm": one.p_holm,
            "comparisons": one.comparisons,
            "seeds_needed": one.needed,
            "pairs": one.pairs,
            "possible_pairs": one.possible_pairs,
            "note": one.note,
        }

    def _notes(self) -> list[str]:
        return [f"{table.label}: {table.note}" for table in self.shares if table.note]


def _share_row(table: ShareTable, share: Share) -> dict[str, Any]:
    return {
        "measure": table.measure,
        "axis": " x ".join(share.factors) if share.factors else share.kind,
        "kind": share.kind,
        "share": share.share,
        **_ends("", share.interval),
        "p": share.p,
        "smallest_p": share.smallest_p,
        "by_chance": share.by_chance,
        "permutations": table.permutations,
        "seeds": table.blocks,
        "cells": table.cells,
        "all_cells": table.all_cells,
    }


def _ends(prefix: str, interval: Interval | None) -> dict[str, float | None]:
    """JSON has no infinity: an end that is not finite is None."""
    low, high = (interval.low, interval.high) if interval else (math.nan, math.nan)
    return {
        f"{prefix}{name}": value if math.isfinite(value) else None
        for name, value in (("low", low), ("high", high))
    }
