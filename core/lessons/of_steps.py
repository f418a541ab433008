"""What is measured of the recorded steps of a run."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import numpy as np

from core.lessons.measured import Measured
from core.lessons.run import LessonError, LessonRun


def recorded(run: LessonRun, *, along: str, field: str, call: int) -> Measured:
    """A recorded quantity of one UNet call, counted from 1 (or from the end, -1 the last), its mean
    for each value of an axis.
    """
    found: list[float] = []
    for digests in run.digests(along):
        values: list[float] = []
        for digest in digests:
            records = run.trajectory(digest).records
            at = call - 1 if call > 0 else call
            if not -len(records) <= at < len(records):
                raise LessonError(f"there is no call {call} of {len(records)}")
            value = getattr(records[at], field)
            if value is None:
                raise LessonError(f"{field} was not recorded at call {call}")
            values.append(float(value))
        found.append(fmean(values))
    return Measured(
        label=f"{field.replace('_', ' ')}, call {call}",
        candidates=run.names(along),
        numbers=run.numbers(along),
        values=tuple(found),
    )


def calls(run: LessonRun, *, along: str) -> Measured:
    """The UNet calls that were really made, for each value of an axis."""
    return Measured(
        label="UNet calls",
        candidates=run.names(along),
        numbers=run.numbers(along),
        values=tuple(
            fmean(len(run.trajectory(digest).records) for digest in digests)
            for digests in run.digests(along)
        ),
        digits=0,
    )


def wrongness(run: LessonRun, *, call: int) -> Measured:
    """How far noise, picture and v that one call predicts are from those that the end of the run
    makes of the same latents, as RMS over the deviation of the latter; mean over all pictures.

    With x the latents in variance-preserving coordinates and x0 the last prediction, the noise is
    (x - sqrt(abar) x0) / sqrt(1 - abar), and v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans and
    Ho 2022). All three predictions of a call are one and the same x0 written otherwise.
    """
    names = ("Noise", "Picture", "v")
    sums = dict.fromkeys(names, 0.0)
    digests = sorted(set(run.plan.digests))
    for digest in digests:
        trajectory = run.trajectory(digest)
        predicted, latents = trajectory.pred_original_sample, trajectory.latents
        if predicted is None or latents is None:
            raise LessonError("the latents of the steps were not recorded")
        at = call - 1 if call > 0 else call
        record = trajectory.records[at]
        abar = 1 / (1 + record.sigma**2)
        signal, noise = math.sqrt(abar), math.sqrt(1 - abar)
        # Sigma-space latents are sqrt(1 + sigma^2) times larger; their RMS says which they are.
        x = latents[:-1][at]
        rms = math.sqrt(float(np.square(x).mean()))
        if record.latent_rms and abs(rms - record.latent_rms) > 1e-3 * rms:
            x = x * (record.latent_rms / rms)
        end, now = predicted[-1], predicted[at]

        def of(x0: np.ndarray, x: np.ndarray = x, s: float = signal, n: float = noise) -> Any:
            epsilon = (x - s * x0) / n
            return {"Noise": epsilon, "Picture": x0, "v": s * epsilon - n * x0}

        right, guess = of(end), of(now)
        for name in names:
            error = math.sqrt(float(np.square(guess[name] - right[name]).mean()))
            sums[name] += error / float(right[name].std())
    return Measured(
        label=f"Relative error at call {call}",
        candidates=names,
        values=tuple(sums[name] / len(digests) for name in names),
    )
