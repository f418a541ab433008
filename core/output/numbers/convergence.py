"""How far a picture of few steps is from that of the most, and how fast it comes nearer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.output.numbers.cell_numbers import Place
from core.sweeps.sweep import Sweep

STEPS = "num_inference_steps"
LEAST_RMSE = 1.0
"""Below it, of 255, the rounding of a picture to 8 bits is much of a distance: not in the fit."""

_ORDERS = np.arange(0.05, 8, 0.01)
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """The distances of one row or column from its own picture of the most steps, by rising steps.
    `order` is None where it cannot be fitted or means nothing.
    """

    label: str
    steps: tuple[int, ...]
    distances: tuple[float, ...]
    order: float | None
    draws_noise: bool


def steps_side(sweep: Sweep) -> Literal["x", "y"] | None:
    """The side, columns or rows, along which the number of steps alone varies."""
    for side in ("x", "y"):
        axis = sweep.x if side == "x" else sweep.y
        if axis is not None and axis.name == STEPS and axis.linked is None:
            return side if len(axis.values) > 1 else None
    return None


def most_steps(sweep: Sweep, place: Place) -> Place:
    """The cell of the most steps in the row or column of a cell. Needs a `steps_side`."""
    x, y, z = place
    if steps_side(sweep) == "x":
        return _most(sweep.x.values if sweep.x else ()), y, z
    return x, _most(sweep.y.values if sweep.y else ()), z


def draws_noise(settings: GenerationSettings) -> bool:
    """Return whether each step adds fresh noise: runs of other numbers of steps are then other
    draws, which come to no common picture.
    """
    row = SCHEDULERS[settings.scheduler]
    return (row.stochastic and settings.eta != 0) or settings.eta > 0 or settings.s_churn > 0


def fitted_order(steps: Sequence[int], distances: Sequence[float], most: int) -> float | None:
    """The k for which c (n^-k - N^-k) is nearest to the distances, by least squares of their
    logarithms, to 0.01: the error of a method of order k is c n^-k, and the picture of the most
    steps, N, has one of its own. None for fewer than three distances above 0.
    """
    kept = [(n, d) for n, d in zip(steps, distances, strict=True) if d > 0 and n < most]
    if len(kept) < _FEWEST:
        return None
    n, d = np.array(kept, float).T  # (points,)
    power = -_ORDERS[:, None]  # (orders, 1)
    apart = np.log(d) - np.log(n**power - float(most) ** power)  # (orders, points)
    return round(float(_ORDERS[apart.var(axis=1).argmin()]), 2)


def latent_distances(sweep: Sweep, latents: Mapping[Place, np.ndarray]) -> dict[Place, float]:
    """RMSE of final latents, (C, h, w), to those of the most steps of the same row or column, of
    each cell where both are there and of one size.
    """
    found: dict[Place, float] = {}
    for place, own in latents.items():
        last = latents.get(most_steps(sweep, place))
        if last is not None and own.shape == last.shape:
            found[place] = math.sqrt(float(np.square(own - last).mean()))
    return found


def lines(
    sweep: Sweep,
    settings: Mapping[Place, GenerationSettings],
    distances: Mapping[Place, float],
    *,
    z: int = 0,
    least: float = 0.0,
) -> list[Line]:
    """A line for each row or column of page `z` that has a picture of the most steps.

    `distances` are to the cell that `most_steps` names; those up to `least` are not in the fit.
    """
    across = steps_side(sweep) == "x"
    other = sweep.y if across else sweep.x
    made: list[Line] = []
    for index in range(len(other.values) if other else 1):
        of_line = {
            place: one
            for place, one in settings.items()
            if place[2] == z and place[1 if across else 0] == index
        }
        points = sorted(
            (one.num_inference_steps, distances[place])
            for place, one in of_line.items()
            if place in distances and place != most_steps(sweep, place)
        )
        if not points:
            continue
        first = next(iter(of_line.values()))
        most = max(one.num_inference_steps for one in of_line.values())
        steps, apart = zip(*points, strict=True)
        fits = [(n, d) for n, d in points if d > least]
        is_noisy = draws_noise(first)
        order = None if is_noisy else fitted_order([n for n, _ in fits], [d for _, d in fits], most)
        made.append(
            Line(
                label=other.value_label(index) if other else "",
                steps=steps,
                distances=apart,
                order=order,
                draws_noise=is_noisy,
            )
        )
    return made


def _most(values: Sequence[int]) -> int:
    return max(range(len(values)), key=values.__getitem__)
