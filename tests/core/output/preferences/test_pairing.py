"""The next pair: never the last one again, sides by chance, repetitions, and the rarest first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.output.preferences.pairing import MOST_PICTURES, ROUND, Pool, next_pair
from core.output.preferences.votes import FIRST, Vote, design_of, key_of, pair_of
from core.sweeps.axis import parse_axis
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from tests.core.output.preferences.test_strengths import design_of_shape

SHAPE = design_of_shape(3, 2)
SEEDS = {name: int(name[-1]) for name in SHAPE.rows}
ALL = Pool(design=SHAPE, seeds=SEEDS, same_seed=False)


def ask(count: int, pool: Pool, others: list[Vote] | None = None) -> list[Vote]:
    rng, votes = np.random.default_rng(3), list(others or [])
    for number in range(count):
        two = next_pair(pool, votes, "me", rng)
        assert two is not None
        votes.append(Vote(voter="me", first=two[0], second=two[1], choice=FIRST, at=number))
    return [vote for vote in votes if vote.voter == "me"]


def test_never_the_same_pair_twice_in_a_row_and_the_sides_vary() -> None:
    votes = ask(60, ALL)
    pairs = [vote.pair for vote in votes]
    assert all(one != other for one, other in pairwise(pairs))
    lower_left = sum(vote.first < vote.second for vote in votes)
    assert 15 <= lower_left <= 45


def test_one_of_six_repeats_a_pair_of_ones_own() -> None:
    pairs = [vote.pair for vote in ask(3 * ROUND, ALL)]
    for turn in range(ROUND - 1, 3 * ROUND, ROUND):
        assert pairs[turn] in pairs[: turn - 2], turn


def test_pairs_of_others_come_up_for_comparison() -> None:
    theirs = [Vote(voter="you", first="0.0", second="0.1", choice=FIRST, at=0.0)]
    assert pair_of("0.0", "0.1") in [vote.pair for vote in ask(ROUND, ALL, theirs)]


def test_the_same_seed_on_both_sides() -> None:
    pool = replace(ALL, same_seed=True)
    assert len(pool.pairs(np.random.default_rng(0))) == 6
    assert all(SEEDS[vote.first] == SEEDS[vote.second] for vote in ask(20, pool))


def test_deleted_pictures_are_not_asked_about() -> None:
    pool = replace(ALL, seeds={name: seed for name, seed in SEEDS.items() if name[0] != "2"})
    before = [Vote(voter="me", first="2.0", second="1.0", choice=FIRST, at=0.0)] * 9
    for vote in ask(20, pool, before)[9:]:
        assert set(vote.pair) <= set(pool.seeds)


def test_of_many_pictures_some_are_weighed() -> None:
    design = design_of_shape(20, 15)
    seeds = {name: int(name.split(".")[1]) for name in design.rows}
    pool = Pool(design=design, seeds=seeds, same_seed=True)
    pairs = pool.pairs(np.random.default_rng(0))
    assert 0 < len(pairs) <= MOST_PICTURES**2 / 2
    assert all(pool.allows(pair) for pair in pairs)


def test_what_was_asked_least_comes_first() -> None:
    """After many votes on two of three values the third is asked about."""
    design, rng = design_of_shape(3), np.random.default_rng(0)
    votes = [Vote(voter="you", first="0", second="1", choice=FIRST, at=0.0)] * 12
    pool = Pool(design=design, seeds=dict.fromkeys("012", 0), same_seed=True)
    asked = [next_pair(pool, votes, "me", rng) for _ in range(20)]
    assert all(two is not None and "2" in two for two in asked)


def test_each_value_is_asked_about_equally_often() -> None:
    counts = Counter(name[0] for vote in ask(48, ALL) for name in vote.pair)
    assert max(counts.values()) - min(counts.values()) <= 10


def test_two_pictures_are_one_pair() -> None:
    design, rng = design_of_shape(2), np.random.default_rng(0)
    pool = Pool(design=design, seeds={"0": 1, "1": 1}, same_seed=True)
    two = next_pair(pool, [], "me", rng)
    assert two is not None
    vote = Vote(voter="me", first=two[0], second=two[1], choice=FIRST, at=0.0)
    assert next_pair(pool, [vote], "me", rng) is None
    assert next_pair(replace(pool, seeds={}), [], "me", rng) is None


def test_a_picture_of_two_cells_has_a_part_of_both_values() -> None:
    sweep = Sweep(
        base=GenerationSettings(prompt="owl"),
        x=parse_axis("guidance_scale", "1, 2, 3"),
    )
    plan = Plan(
        problems=(), cells=tuple(sweep.cells()), digests=("a", "b", "a"), merged={2: 0}, distinct=2
    )
    design = design_of(sweep, plan)
    assert design.rows["a"].tolist() == [0.5, 0.0, 0.5]
    assert design.difference("b", "a") == pytest.approx([-0.5, 1.0, -0.5])
    turned = replace(plan, digests=("b", "a", "a"))
    assert key_of(plan.digests) == key_of(turned.digests) != key_of(["a", "c"])
