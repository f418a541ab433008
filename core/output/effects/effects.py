"""All that a grid supports, by one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.output.effects.bootstrap import RESAMPLES
from core.output.effects.grid import EffectGrid, PictureSpace
from core.output.effects.paired import corrected, curve, differences
from core.output.effects.permutation import PERMUTATIONS
from core.output.effects.result import Curve, Difference, Effects, ShareTable
from core.output.effects.shares import measure_shares, picture_shares


def find_effects(
    grid: EffectGrid,
    pictures: Sequence[PictureSpace] = (),
    *,
    pairs: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Effects:
    """Curves, differences and shares of every measure, and the shares of the pictures.

    `pairs` has the levels (from, to) to compare for factors by name; others compare neighbours.
    Holm's correction is over all comparisons of one measure. A picture space of 1,600 cells takes
    1 to 4 s, most with hundreds of seeds: this is background work. Raises KeyError, IndexError
    and ValueError as the parts do.
    """
    curves: list[Curve] = []
    found: list[Difference] = []
    shares: list[ShareTable] = []
    for measure in grid.measures:
        of_measure: list[Difference] = []
        for factor in grid.factors:
            curves.append(curve(grid, factor.name, measure.name))
            of_measure += differences(
                grid,
                factor.name,
                measure.name,
                (pairs or {}).get(factor.name),
                resamples=resamples,
                seed=seed,
            )
        found += corrected(of_measure)
        shares.append(
            measure_shares(
                grid, measure.name, resamples=resamples, permutations=permutations, seed=seed
            )
        )
    shares += [
        picture_shares(grid, space, resamples=resamples, permutations=permutations, seed=seed)
        for space in pictures
    ]
    return Effects(
        factors=grid.factors,
        measures=grid.measures,
        blocks=grid.blocks(),
        block_label=grid.block_label,
        curves=tuple(curves),
        differences=tuple(found),
        shares=tuple(shares),
        missing=grid.missing,
        left_out=grid.left_out,
        resamples=resamples,
        seed=seed,
    )
