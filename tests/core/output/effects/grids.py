"""Grids with known effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.output.effects.grid import EffectGrid, Factor, Measure, Observation

FACTORS = (
    Factor(
        name="guidance_scale", label="Guidance scale", levels=("3", "5", "7"), numbers=(3, 5, 7)
    ),
    Factor(name="scheduler", label="Scheduler", levels=("DDIM", "Euler")),
    Factor(name="eta", label="Eta", levels=("0", "1"), numbers=(0, 1)),
)
SCORE = Measure(name="clip_score", label="CLIP score", digits=1)


def factors(*lengths: int) -> tuple[Factor, ...]:
    """FACTORS with so many levels each."""
    return tuple(
        Factor(
            name=factor.name,
            label=factor.label,
            levels=tuple(str(level) for level in range(length)),
            numbers=tuple(float(level) for level in range(length)),
        )
        for factor, length in zip(FACTORS, lengths, strict=False)
    )


def grid_of(
    values: np.ndarray,
    *,
    measure: Measure = SCORE,
    blocks: Sequence[str] | None = None,
    known: tuple[Factor, ...] | None = None,
) -> EffectGrid:
    """(blocks, levels...) as a grid of one measure; a NaN is a cell that is not there."""
    names = [str(index) for index in range(len(values))] if blocks is None else blocks
    return EffectGrid(
        factors=factors(*values.shape[1:]) if known is None else known,
        measures=(measure,),
        observations=tuple(
            Observation(
                levels=tuple(place[1:]),
                block=names[place[0]],
                values={measure.name: float(values[place])},
                digest=str(place),
            )
            for place in np.ndindex(values.shape)
            if np.isfinite(values[place])
        ),
    )
