"""Which two pictures a voter is asked about next: those whose answer tells most.

It depends on which pairs were asked, never on the answers: pairs chosen for being close by the
answers so far drive estimates apart, and intervals would hold less than they say (Bramley 2015).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.output.preferences.votes import Design, Pair, Vote, pair_of

ROUND = 6
"""Of so many votes one repeats a pair of the voter's own, and one a pair that others had."""
MOST_PICTURES = 100
"""So many are weighed against each other at once: 5000 pairs, a twentieth of a second."""
_APART = 3  # votes between a pair and its repetition
_PRIOR = 0.1  # a tenth of a vote on each value: before the first vote nothing is known
_NEARLY = 0.9  # pairs that tell nearly as much as the best are drawn from


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """The pictures that can be shown, by digest, with their seeds; `same_seed` allows no pair with
    two seeds.
    """

    design: Design
    seeds: Mapping[str, int]
    same_seed: bool

    def allows(self, pair: Pair) -> bool:
        """Whether both can be shown and differ in a value."""
        one, other = pair
        if not {one, other} <= set(self.seeds):
            return False
        if self.same_seed and self.seeds[one] != self.seeds[other]:
            return False
        return bool((self.design.rows[one] != self.design.rows[other]).any())

    def pairs(self, rng: np.random.Generator) -> list[Pair]:
        """Every pair that is allowed; of many pictures, those of MOST_PICTURES drawn ones."""
        names = self._some(rng)
        if len(names) < 2:
            return []
        rows = np.array([self.design.rows[name] for name in names])
        seeds = np.array([self.seeds[name] for name in names], dtype=np.uint64)
        one, other = np.triu_indices(len(names), 1)
        allowed = (rows[one] != rows[other]).any(axis=1)
        if self.same_seed:
            allowed &= seeds[one] == seeds[other]
        return [
            pair_of(names[a], names[b]) for a, b in zip(one[allowed], other[allowed], strict=True)
        ]

    def _some(self, rng: np.random.Generator) -> list[str]:
        names = list(self.seeds)
        if len(names) <= MOST_PICTURES:
            return names
        names = [names[i] for i in rng.permutation(len(names))]
        if self.same_seed:  # whole seeds: of many, single pictures would seldom share one
            seeds = list(dict.fromkeys(self.seeds[name] for name in names))
            names.sort(key=lambda name: seeds.index(self.seeds[name]))
        return names[:MOST_PICTURES]


def next_pair(
    pool: Pool, votes: Sequence[Vote], voter: str, rng: np.random.Generator
) -> Pair | None:
    """Two digests, the one for the left first, at random; None where only the pair of the last
    vote is left. `votes` are those of every voter, oldest first.
    """
    own = [vote.pair for vote in votes if vote.voter == voter]
    others = [vote.pair for vote in votes if vote.voter != voter and vote.pair not in set(own)]
    last = own[-1] if own else None
    turn = len(own) % ROUND
    chosen: Pair | None = None
    if turn == ROUND - 1:
        chosen = _repeated([pair for pair in own if pool.allows(pair)], own, rng)
    elif turn == ROUND // 2 - 1:
        chosen = _any_of([pair for pair in sorted(set(others)) if pool.allows(pair)], rng)
    if chosen is None:
        pairs = [pair for pair in pool.pairs(rng) if pair != last]
        if not pairs:
            return None
        chosen = _telling(pool.design, pairs, votes, rng)
    one, other = chosen
    return (one, other) if rng.random() < 0.5 else (other, one)


def _repeated(pairs: Sequence[Pair], own: Sequence[Pair], rng: np.random.Generator) -> Pair | None:
    """One of the voter's own pairs that was asked least often, and not just now."""
    counts = Counter(own)
    asked = sorted(set(pairs) - set(own[-_APART:]))
    least = min((counts[pair] for pair in asked), default=0)
    return _any_of([pair for pair in asked if counts[pair] == least], rng)


def _telling(
    design: Design, pairs: Sequence[Pair], votes: Sequence[Vote], rng: np.random.Generator
) -> Pair:
    """A pair whose answer narrows the strengths most: its difference is the least known by the
    pairs asked so far (D-optimality).
    """
    known = [vote for vote in votes if {vote.first, vote.second} <= set(design.rows)]
    asked = np.array([design.difference(v.first, v.second) for v in known])
    asked = asked.reshape(len(known), design.size)
    variance = np.linalg.inv(asked.T @ asked + _PRIOR * np.eye(design.size))
    one, other = (np.array([design.rows[pair[side]] for pair in pairs]) for side in (0, 1))
    offered = one - other
    gains = np.einsum("pv,vw,pw->p", offered, variance, offered)
    near = np.flatnonzero(gains >= _NEARLY * gains.max())
    return pairs[int(rng.choice(near))]


def _any_of(pairs: Sequence[Pair], rng: np.random.Generator) -> Pair | None:
    return pairs[int(rng.integers(len(pairs)))] if pairs else None
