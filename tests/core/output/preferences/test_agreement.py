"""Consistency and agreement by hand, and alpha against its definition as a loop."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from core.output.preferences.agreement import Share, agreement, consistency
from core.output.preferences.votes import FIRST, SECOND, TIE, Vote


def vote(voter: str, first: str, second: str, choice: int) -> Vote:
    return Vote(voter=voter, first=first, second=second, choice=choice, at=0.0)


def test_a_repeated_pair_is_the_same_on_either_side() -> None:
    votes = [
        vote("a", "p", "q", FIRST),
        vote("a", "q", "p", SECOND),  # p again
        vote("a", "p", "q", TIE),
        vote("a", "p", "r", TIE),
    ]
    assert consistency(votes) == Share(same=1, count=2)
    assert consistency([]) == Share(same=0, count=0)


def test_voters_are_compared_where_they_had_the_same_pair() -> None:
    votes = [
        vote("a", "p", "q", FIRST),
        vote("b", "q", "p", SECOND),
        vote("a", "p", "r", FIRST),
        vote("b", "p", "r", SECOND),
        vote("a", "q", "r", FIRST),
    ]
    found = agreement(votes)
    assert (found.pairs, found.share) == (2, Share(same=1, count=2))


def test_alpha_is_its_definition() -> None:
    """1 - observed / expected disagreement, over ordered pairs of answers, with some missing."""
    rng = np.random.default_rng(0)
    units = {
        ("p", str(number)): {
            who: int(rng.choice([FIRST, FIRST, SECOND, TIE])) for who in "abc" if rng.random() < 0.8
        }
        for number in range(30)
    }
    votes = [
        vote(who, min(pair), max(pair), choice)
        for pair, said in units.items()
        for who, choice in said.items()
    ]
    full = [list(said.values()) for said in units.values() if len(said) > 1]
    every = [one for unit in full for one in unit]
    observed = sum(
        sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in full
    ) / len(every)
    expected = np.mean([a != b for a, b in permutations(every, 2)])
    assert agreement(votes).alpha == pytest.approx(1 - observed / expected)


def test_one_answer_alone_has_no_alpha() -> None:
    votes = [vote(who, "p", "q", TIE) for who in "ab"]
    assert agreement(votes).alpha is None
    assert agreement([]).alpha is None
