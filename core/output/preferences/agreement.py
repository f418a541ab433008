"""How far a voter agrees with themselves, and voters with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from core.output.preferences.votes import Pair, Vote


@dataclass(frozen=True, kw_only=True)
class Share:
    """`same` answers out of `count`."""

    same: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Several voters on the `pairs` that they shared: how many comparisons of two voters gave the
    same answer, and Krippendorff's alpha for the three answers (1 is full agreement, 0 chance),
    None where all answers were one.
    """

    pairs: int
    share: Share
    alpha: float | None


def consistency(votes: Sequence[Vote]) -> Share:
    """How often one voter answered a repeated pair as before, whatever the side."""
    by_pair: dict[Pair, list[str]] = {}
    for vote in votes:
        by_pair.setdefault(vote.pair, []).append(vote.winner)
    steps = [step for answers in by_pair.values() for step in pairwise(answers)]
    return Share(same=sum(one == other for one, other in steps), count=len(steps))


def agreement(votes: Sequence[Vote]) -> Agreement:
    """Compare voters by each one's first answer to a pair. Source: Krippendorff (2004), nominal
    data with missing values.
    """
    answers: dict[Pair, dict[str, str]] = {}
    for vote in votes:
        said = answers.setdefault(vote.pair, {})
        said.setdefault(vote.voter, _side(vote))
    units = [list(said.values()) for said in answers.values() if len(said) > 1]
    compared = [two for unit in units for two in combinations(unit, 2)]
    share = Share(same=sum(one == other for one, other in compared), count=len(compared))
    return Agreement(pairs=len(units), share=share, alpha=_alpha(units))


def _side(vote: Vote) -> str:
    """The answer in the pair's own order, so that the side shown does not matter."""
    return "tie" if not vote.winner else "low" if vote.winner == vote.pair[0] else "high"


def _alpha(units: Sequence[Sequence[str]]) -> float | None:
    totals = Counter(answer for unit in units for answer in unit)
    count = sum(totals.values())
    unlike = sum(n * (count - n) for n in totals.values())
    if not unlike:
        return None
    observed = sum(
        sum(n * (len(unit) - n) for n in Counter(unit).values()) / (len(unit) - 1) for unit in units
    )
    return 1 - (count - 1) * observed / unlike
