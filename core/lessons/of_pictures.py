"""What is measured of the pictures of a run."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import numpy as np

from core.exports.effects.grid import measured_grid
from core.lessons.lesson import PLACES, SIDE
from core.lessons.measured import Measured
from core.lessons.run import LessonError, LessonRun
from core.output.effects.shares import picture_shares
from core.output.numbers.convergence import LEAST_RMSE, lines, most_steps, steps_side
from core.output.numbers.metrics import difference as pixel_difference
from core.output.numbers.quantities import QUANTITIES


def of_pictures(run: LessonRun, *, along: str, quantity: str) -> Measured:
    """The mean of a quantity of the pictures, for each value of an axis."""
    row, known = QUANTITIES[quantity], run.known()
    found = [
        fmean(run.of_quantity(quantity, digest, known) for digest in digests)
        for digests in run.digests(along)
    ]
    return Measured(
        label=row.label,
        candidates=run.names(along),
        numbers=run.numbers(along),
        values=tuple(found),
        digits=row.digits,
    )


def distance(run: LessonRun, *, along: str, reference: int) -> Measured:
    """The mean RMSE of the pictures to that of the reference value of an axis, in the same place of
    the others: 0 to 255. The reference itself has 0.
    """
    by_value = run.digests(along)
    base = by_value[reference]
    found = [
        fmean(run.apart(one, other) for one, other in zip(digests, base, strict=True))
        for digests in by_value
    ]
    return Measured(
        label="RMSE, 0 to 255",
        candidates=run.names(along),
        numbers=run.numbers(along),
        values=tuple(found),
        digits=1,
    )


def neighbours(run: LessonRun, *, along: str) -> Measured:
    """The mean RMSE of two pictures that are neighbours along an axis, for each value of the other:
    how much the picture still changes there.
    """
    other = "y" if along == "x" else "x"
    by_value = run.digests(along)
    found: list[float] = []
    for index in range(len(run.axis(other).values)):
        row = [digests[index] for digests in by_value]
        found.append(fmean(run.apart(a, b) for a, b in pairwise(row)))
    return Measured(
        label="RMSE between neighbours, 0 to 255",
        candidates=run.names(other),
        numbers=run.numbers(other),
        values=tuple(found),
        digits=1,
    )


def difference(run: LessonRun, *, along: str, quantity: str) -> Measured:
    """A quantity at the last value of an axis minus at the first, for each value of the other
    axis: with seeds along it, one difference a seed.
    """
    row, known = QUANTITIES[quantity], run.known()
    by_value = run.digests(along)
    other = "y" if along == "x" else "x"
    found = [
        run.of_quantity(quantity, last, known) - run.of_quantity(quantity, first, known)
        for first, last in zip(by_value[0], by_value[-1], strict=True)
    ]
    return Measured(
        label=f"{row.label}, difference",
        candidates=run.names(other),
        values=tuple(found),
        digits=row.digits,
    )


def share(run: LessonRun) -> Measured:
    """How much of all squared distances between the pictures, at 32 x 32 pixels, goes with each
    axis, with the seed, and with the rest (PERMANOVA).
    """
    known = run.known()
    made = measured_grid(run.sweep, run.plan, known, reasons={}, bases=list(run.plan.digests))
    space = next((one for one in made.spaces if one.name == "pixels"), None)
    if space is None:
        raise LessonError("the pictures were not measured")
    found = picture_shares(made.grid, space, resamples=0, permutations=0).shares
    if not found:
        raise LessonError("the pictures do not differ")
    return Measured(
        label="Share of the differences, %",
        candidates=tuple(one.label for one in found),
        values=tuple(100 * one.share for one in found),
        digits=0,
    )


def change_by_place(run: LessonRun, *, along: str) -> Measured:
    """The mean RMS difference of the pixels at the first and at the last value of an axis,
    0 to 255, in each of the nine places.
    """
    by_value = run.digests(along)
    total = np.zeros((SIDE, SIDE))
    for first, last in zip(by_value[0], by_value[-1], strict=True):
        apart = pixel_difference(run.picture(first), run.picture(last))  # (height, width)
        for y, row in enumerate(np.array_split(apart, SIDE, axis=0)):
            for x, part in enumerate(np.array_split(row, SIDE, axis=1)):
                total[y, x] += part.mean() / len(by_value[0])
    return Measured(
        label="Mean change, 0 to 255", candidates=PLACES, values=tuple(total.ravel()), digits=1
    )


def order(run: LessonRun) -> Measured:
    """The order of convergence of each value of the other axis, fitted to the distances from its
    own picture of the most steps; 0 where none is found or where each step adds fresh noise.
    """
    sweep = run.sweep
    settings = {(cell.x, cell.y, cell.z): cell.settings for cell in run.plan.cells}
    at = {
        (cell.x, cell.y, cell.z): digest
        for cell, digest in zip(run.plan.cells, run.plan.digests, strict=True)
    }
    if steps_side(sweep) is None:
        raise LessonError("the number of steps is no axis")
    distances = {
        place: run.apart(digest, at[most_steps(sweep, place)]) for place, digest in at.items()
    }
    found = lines(sweep, settings, distances, least=LEAST_RMSE)
    return Measured(
        label="RMSE to the most steps",
        candidates=tuple(line.label for line in found),
        values=tuple(line.order or 0.0 for line in found),
        digits=1,
        lines=tuple(found),
    )
