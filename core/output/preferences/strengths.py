"""Bradley-Terry strengths of the values of axes, with intervals.

A picture's strength is the sum of those of its values. Davidson's form of the model (1970) has
ties: the log-odds of first, second and tie are d/2, -d/2 and a constant, d being the difference of
the strengths. Jeffreys' prior (Firth 1993) keeps what always wins finite: of two pictures with w
wins and l losses d is exactly log((w + 1/2) / (l + 1/2)). Intervals are Wald's, at 95 %, and take
votes as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from core.output.preferences.votes import FIRST, SECOND, TIE, Design, Vote

Z95 = NormalDist().inv_cdf(0.975)
_MOST_STEPS = 100
_OUTCOMES = (FIRST, SECOND, TIE)
_NEGLIGIBLE = 1e-8


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A difference of strengths in log-odds, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Strengths:
    """What votes say of the values. `spread` spans the differences that votes tell of, (values,
    parameters), `covariance` is that of the parameters; `counts` how many votes each value had.
    """

    design: Design
    beta: NDArray[np.float64]
    spread: NDArray[np.float64]
    covariance: NDArray[np.float64]
    counts: NDArray[np.int64]

    def of(self, side: str, index: int) -> Estimate | None:
        """A value against the mean of the values of its axis that had votes; None where no vote
        compares it with them.
        """
        contrast = np.zeros(self.design.size)
        voted = [i for i in range(self.design.sides[side]) if self._count(side, i)]
        if len(voted) < 2 or index not in voted:
            return None
        contrast[[self.design.place(side, i) for i in voted]] = -1 / len(voted)
        contrast[self.design.place(side, index)] += 1
        return self._estimate(contrast)

    def between(self, side: str, one: int, other: int) -> Estimate | None:
        """One value against another of the same axis; None where no vote compares them."""
        contrast = np.zeros(self.design.size)
        contrast[self.design.place(side, one)] = 1
        contrast[self.design.place(side, other)] -= 1
        return self._estimate(contrast)

    def _count(self, side: str, index: int) -> int:
        return int(self.counts[self.design.place(side, index)])

    def _estimate(self, contrast: NDArray[np.float64]) -> Estimate | None:
        inner = self.spread.T @ contrast
        if np.abs(self.spread @ inner - contrast).max() > 1e-6:
            return None
        value = float(contrast @ self.beta)
        half = Z95 * float(np.sqrt(inner @ self.covariance @ inner))
        return Estimate(value=value, low=value - half, high=value + half)


def fit_strengths(design: Design, votes: Sequence[Vote]) -> Strengths:
    """The strengths that fit these votes best. Votes on other pictures do not count."""
    votes = [vote for vote in votes if {vote.first, vote.second} <= set(design.rows)]
    differences = np.array([design.difference(v.first, v.second) for v in votes])
    differences = differences.reshape(len(votes), design.size)
    counts = (np.abs(differences) > _NEGLIGIBLE).sum(axis=0)
    _, sizes, directions = np.linalg.svd(differences, full_matrices=False)
    spread = directions[sizes > _NEGLIGIBLE].T  # (values, parameters)
    answers = np.array([_OUTCOMES.index(vote.choice) for vote in votes], dtype=int)
    if not spread.size:
        nothing = np.zeros((0, 0))
        return Strengths(
            design=design,
            beta=np.zeros(design.size),
            spread=np.zeros((design.size, 0)),
            covariance=nothing,
            counts=counts,
        )
    utilities = _utilities(differences @ spread)
    found, information = _maximise(utilities, answers)
    covariance = np.asarray(np.linalg.inv(information)[:-1, :-1], dtype=np.float64)
    return Strengths(
        design=design,
        beta=spread @ found[:-1],
        spread=spread,
        covariance=covariance,
        counts=counts,
    )


def _utilities(inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each parameter adds to the log-odds of each outcome: (votes, 3, parameters + 1)."""
    votes, parameters = inner.shape
    utilities = np.zeros((votes, 3, parameters + 1))
    utilities[:, 0, :-1] = inner / 2
    utilities[:, 1, :-1] = -inner / 2
    utilities[:, 2, -1] = 1.0
    return utilities


def _maximise(
    utilities: NDArray[np.float64], answers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fisher scoring on the penalised likelihood: the parameters, and their information."""
    at = np.zeros(utilities.shape[2])
    reached, chances, information = _penalised(utilities, answers, at)
    for _ in range(_MOST_STEPS):
        centred = utilities - np.einsum("no,nop->np", chances, utilities)[:, None, :]
        score = centred[np.arange(len(answers)), answers].sum(axis=0)
        inverse = np.linalg.inv(information)
        lever = np.einsum("nop,pq,noq->no", centred, inverse, centred)
        score += np.einsum("no,nop->p", chances * lever, centred) / 2
        step = inverse @ score
        for _ in range(40):
            found = _penalised(utilities, answers, at + step)
            if found[0] >= reached - 1e-12:
                break
            step /= 2
        at = at + step
        reached, chances, information = _penalised(utilities, answers, at)
        if np.abs(step).max() < 1e-9:
            break
    return at, information


def _penalised(
    utilities: NDArray[np.float64], answers: NDArray[np.int64], at: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood with Jeffreys' prior, the chances of the outcomes, and the information."""
    logits = utilities @ at  # (votes, 3)
    logits = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(logits)
    totals = chances.sum(axis=1, keepdims=True)
    likelihood = (logits[np.arange(len(answers)), answers] - np.log(totals[:, 0])).sum()
    chances /= totals
    mean = np.einsum("no,nop->np", chances, utilities)
    information = np.einsum("no,nop,noq->pq", chances, utilities, utilities) - mean.T @ mean
    sign, size = np.linalg.slogdet(information)
    penalty = size / 2 if sign > 0 else -np.inf
    return float(likelihood + penalty), chances, information
