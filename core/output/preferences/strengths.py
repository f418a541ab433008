"""Bradley-Terry strengths of the values of axes, with intervals.

A picture's strength is the sum of those of its values. Davidson's form of the model (1970) has
ties: the log-odds of first, second and tie are d/2, -d/2 and a constant, d being the difference of
the strengths. Jeffreys' prior (Firth 1993) keeps what always wins finite: of two pictures with w
wins and l losses d is exactly log((w + 1/2) / (l + 1/2)). Intervals are at 95 %. Of one voter they
are Wald's, and take votes as independent. People have tastes: of several voters they are as wide
as a bootstrap over the voters says (`clustered`), where that is wider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from core.output.preferences.votes import FIRST, SECOND, TIE, Design, Vote

Z95 = NormalDist().inv_cdf(0.975)
_MOST_STEPS = 100
_OUTCOMES = (FIRST, SECOND, TIE)
_NEGLIGIBLE = 1e-8
_FAR = 50.0
"""Log-odds that no votes tell of: the fit of a resample went astray."""

RESAMPLES = 200
FEW_VOTERS = 8
"""With fewer, intervals over voters are wide, and rest on a guess of how people differ."""


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
    `voters` took part. `over_voters` is the covariance by a bootstrap over them, None for none:
    with it an interval reaches `quantile` standard errors to both sides.
    """

    design: Design
    beta: NDArray[np.float64]
    spread: NDArray[np.float64]
    covariance: NDArray[np.float64]
    counts: NDArray[np.int64]
    voters: int = 1
    over_voters: NDArray[np.float64] | None = None
    quantile: float = Z95

    @property
    def is_clustered(self) -> bool:
        """Whether the intervals take in how voters differ."""
        return self.over_voters is not None

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
        if self.over_voters is not None:
            # Two voters who agree by chance would leave no width at all.
            half = max(half, self.quantile * float(np.sqrt(inner @ self.over_voters @ inner)))
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
    inner = differences @ spread  # (votes, parameters)
    utilities = _utilities(inner)
    weights = np.ones(len(votes))
    found, information = _maximise(utilities, answers, weights)
    covariance = np.asarray(np.linalg.inv(information)[:-1, :-1], dtype=np.float64)
    fit = Strengths(
        design=design,
        beta=spread @ found[:-1],
        spread=spread,
        covariance=covariance,
        counts=counts,
    )
    names = [vote.voter for vote in votes]
    voters = np.array([list(dict.fromkeys(names)).index(name) for name in names], dtype=int)

    def refit(often: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The parameters where each voter is there so often; None where these are too few."""
        weights = often[voters].astype(np.float64)
        there = weights > 0
        if np.linalg.matrix_rank(inner[there]) < spread.shape[1]:
            return None
        try:
            again, _ = _maximise(utilities[there], answers[there], weights[there], found)
        except np.linalg.LinAlgError:
            return None
        return again[:-1] if np.abs(again).max() < _FAR else None

    return clustered(fit, len(set(names)), refit)


def clustered(
    fit: Strengths, voters: int, refit: Callable[[NDArray[np.int64]], NDArray[np.float64] | None]
) -> Strengths:
    """The fit with the covariance of `refit` too, over RESAMPLES draws of as many voters, with
    replacement; as it is for one voter, and where half of the draws compare too little.

    Few voters make a bootstrap's variance too small by (n - 1) / n, and uncertain: it is divided by
    that, and intervals reach the quantile of the t distribution with n - 1 degrees of freedom.
    """
    fit = replace(fit, voters=max(voters, 1))
    if voters < 2:
        return fit
    # A second to import, and only several voters need it.
    from scipy import special

    draw = np.random.default_rng(0)
    often = draw.multinomial(voters, np.full(voters, 1 / voters), size=RESAMPLES)
    distinct, counts = np.unique(often, axis=0, return_counts=True)
    found: list[NDArray[np.float64]] = []
    times: list[int] = []
    for one, count in zip(distinct, counts, strict=True):
        again = refit(one)
        if again is not None:
            found.append(again)
            times.append(int(count))
    if sum(times) < RESAMPLES / 2 or len(found) < 2:
        return fit
    covariance = np.atleast_2d(np.cov(np.array(found).T, fweights=times))
    return replace(
        fit,
        over_voters=covariance * voters / (voters - 1),
        quantile=float(special.stdtrit(voters - 1, 0.975)),
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
    utilities: NDArray[np.float64],
    answers: NDArray[np.int64],
    weights: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fisher scoring on the penalised likelihood: the parameters, and their information. Each vote
    counts as often as `weights` say.
    """
    at = np.zeros(utilities.shape[2]) if start is None else start
    reached, chances, information = _penalised(utilities, answers, weights, at)
    for _ in range(_MOST_STEPS):
        centred = utilities - np.einsum("no,nop->np", chances, utilities)[:, None, :]
        score = weights @ centred[np.arange(len(answers)), answers]
        inverse = np.linalg.inv(information)
        lever = np.einsum("nop,pq,noq->no", centred, inverse, centred)
        score += np.einsum("n,no,nop->p", weights, chances * lever, centred) / 2
        step = inverse @ score
        for _ in range(40):
            found = _penalised(utilities, answers, weights, at + step)
            if found[0] >= reached - 1e-12:
                break
            step /= 2
        at = at + step
        reached, chances, information = _penalised(utilities, answers, weights, at)
        if np.abs(step).max() < 1e-9:
            break
    return at, information


def _penalised(
    utilities: NDArray[np.float64],
    answers: NDArray[np.int64],
    weights: NDArray[np.float64],
    at: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood with Jeffreys' prior, the chances of the outcomes, and the information."""
    logits = utilities @ at  # (votes, 3)
    logits = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(logits)
    totals = chances.sum(axis=1, keepdims=True)
    likelihood = weights @ (logits[np.arange(len(answers)), answers] - np.log(totals[:, 0]))
    chances /= totals
    mean = np.einsum("no,nop->np", chances, utilities)
    weighted = chances * weights[:, None]
    information = np.einsum("no,nop,noq->pq", weighted, utilities, utilities)
    information -= (weights[:, None] * mean).T @ mean
    sign, size = np.linalg.slogdet(information)
    penalty = size / 2 if sign > 0 else -np.inf
    return float(likelihood + penalty), chances, information
