"""Differences between levels, paired by block: what a seed gives to all of its cells drops out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.output.effects.bootstrap import FEWEST_TO_RESAMPLE, RESAMPLES, bootstrap
from core.output.effects.grid import EffectGrid
from core.output.effects.power import blocks_needed
from core.output.effects.result import LEVEL, Curve, Difference, Interval

_SAME = 1e-12  # of the largest: differences that only rounding tells apart


def differences(
    grid: EffectGrid,
    factor: str,
    measure: str,
    pairs: Sequence[tuple[int, int]] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """The differences of a measure between pairs of levels (from, to), neighbours unless given.

    `p_holm` is as yet `p`, for `corrected` knows what else is shown. `resamples` of 0 leaves the
    bootstrap out. Raises KeyError for a factor or measure that the grid does not have, and
    IndexError for a level.
    """
    chosen = grid.factor(factor).neighbours() if pairs is None else pairs
    levels = _levels_first(grid, factor, measure)
    names = grid.blocks()
    found: list[Difference] = []
    for start, end in chosen:
        apart = levels[:, end] - levels[:, start]  # (blocks, cells of the other factors)
        there = np.asarray(np.isfinite(apart))
        has = np.asarray(there.any(axis=1))
        by_block = np.where(there, apart, 0).sum(axis=1)[has] / there.sum(axis=1)[has]
        found.append(
            _difference(
                Difference(
                    factor=factor,
                    measure=measure,
                    start=start,
                    end=end,
                    blocks=tuple(np.array(names)[has].tolist()),
                    by_block=tuple(by_block.tolist()),
                    mean=float(by_block.mean()) if by_block.size else None,
                    interval=None,
                    bootstrap=None,
                    p=None,
                    p_holm=None,
                    comparisons=1,
                    agree=0,
                    needed=None,
                    pairs=int(there.sum()),
                    possible_pairs=there.size,
                    note="",
                ),
                of_blocks=len(names),
                label=grid.block_label,
                resamples=resamples,
                seed=seed,
            )
        )
    return found


def corrected(found: Sequence[Difference]) -> list[Difference]:
    """The differences with `p_holm` over all that have a p: those that are shown together."""
    tested = [one.p for one in found if one.p is not None]
    adjusted = iter(holm(tested))
    return [
        replace(one, p_holm=None if one.p is None else next(adjusted), comparisons=len(tested))
        for one in found
    ]


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979, Scand. J. Statist. 6:65), at most 1: the
    smallest times their number, the next times one less, and none below one before it.
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted = [0.0] * len(p)
    so_far = 0.0
    for place, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = so_far
    return adjusted


def curve(grid: EffectGrid, factor: str, measure: str) -> Curve:
    """The lines of all blocks, their mean and its band. Where cells of the other factors are
    missing, a line is the mean over those that have the most levels, so that no step of a line
    comes from which cells there are. Raises KeyError as `differences` does.
    """
    levels = _levels_first(grid, factor, measure)
    count, length = levels.shape[:2]
    lines = np.array([_line(block) for block in levels]).reshape(count, length)
    whole = lines[np.isfinite(lines).all(axis=1)]
    mean: list[float | None] = [None] * length
    band: list[Interval | None] = [None] * length
    if len(whole) >= 2:
        middle = whole.mean(axis=0)
        mean = middle.tolist()
        if length > 1:
            half = _within(whole)
            ends = zip((middle - half).tolist(), (middle + half).tolist(), strict=True)
            band = [Interval(low=low, high=high) for low, high in ends]
    return Curve(
        factor=factor,
        measure=measure,
        blocks=grid.blocks(),
        lines=tuple(
            tuple(value if math.isfinite(value) else None for value in line)
            for line in lines.tolist()
        ),
        mean=tuple(mean),
        band=tuple(band),
        complete=len(whole),
    )


def _difference(
    one: Difference, *, of_blocks: int, label: str, resamples: int, seed: int
) -> Difference:
    """The difference with all that its blocks support."""
    values = np.asarray(one.by_block)
    count = values.size
    gaps = _gaps(one, of_blocks, label)
    if one.mean is None:
        return replace(one, note=f"No {label} has a cell with both values.")
    mean = one.mean
    agree = int((np.sign(values) == np.sign(mean)).sum()) if mean else 0
    if count < 2:
        return replace(one, agree=agree, note=_joined(f"One {label}: what happened once.", gaps))
    if np.ptp(values) <= _SAME * np.abs(values).max():
        note = f"Exactly as much in all {count} {label}s: no interval can be drawn."
        return replace(one, agree=agree, note=_joined(note, gaps))
    stats = _stats()
    test = stats.ttest_1samp(values, 0)
    interval = test.confidence_interval(LEVEL)
    few = count < FEWEST_TO_RESAMPLE
    note = f"Fewer than {FEWEST_TO_RESAMPLE} {label}s: no bootstrap." if few else ""
    return replace(
        one,
        interval=Interval(low=float(interval.low), high=float(interval.high)),
        bootstrap=bootstrap(values, np.mean, resamples, seed)[0],
        p=float(test.pvalue),
        p_holm=float(test.pvalue),
        agree=agree,
        needed=blocks_needed(mean, float(values.std(ddof=1))),
        note=_joined(note, gaps),
    )


def _levels_first(grid: EffectGrid, factor: str, measure: str) -> np.ndarray:
    """(blocks, levels of the factor, cells of all other factors), NaN for a gap."""
    grid.factor(factor)
    grid.measure(measure)
    values = grid.values(measure)
    axis = 1 + [one.name for one in grid.factors].index(factor)
    moved = np.moveaxis(values, axis, 1)
    return moved.reshape(*moved.shape[:2], math.prod(moved.shape[2:]))


def _line(block: np.ndarray) -> np.ndarray:
    """(levels, cells) -> (levels,): the mean over the cells that have the most levels."""
    there = np.asarray(np.isfinite(block))
    patterns: set[tuple[bool, ...]] = {tuple(column) for column in there.T.tolist()}

    def shared(pattern: tuple[bool, ...]) -> np.ndarray:
        return np.asarray((there | ~np.array(pattern)[:, None]).all(axis=0))

    best = max(patterns, key=lambda one: (sum(one), int(shared(one).sum()), one))
    mean = block[:, shared(best)].mean(axis=1)
    return np.where(best, mean, np.nan)


def _within(lines: np.ndarray) -> np.ndarray:
    """Half the width of the interval within blocks, for each level: the blocks' own means are
    taken out, and the variance that they took with them is given back (Morey 2008).
    """
    blocks, levels = lines.shape
    own = lines - lines.mean(axis=1, keepdims=True)
    error = np.sqrt(own.var(axis=0, ddof=1) * levels / (levels - 1) / blocks)
    return error * float(_stats().t.ppf((1 + LEVEL) / 2, blocks - 1))


def _gaps(one: Difference, of_blocks: int, label: str) -> str:
    if one.pairs == one.possible_pairs:
        return ""
    return (
        f"{one.pairs} of {one.possible_pairs} pairs exist, in {len(one.blocks)} of {of_blocks} "
        f"{label}s: the others count for nothing."
    )


def _joined(*notes: str) -> str:
    return " ".join(note for note in notes if note)


def _stats() -> Any:
    # A second to import, and only a conclusion needs it.
    from scipy import stats

    return stats
