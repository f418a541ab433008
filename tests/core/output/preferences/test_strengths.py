"""Strengths against closed forms, an independent likelihood, and voters whose taste is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import special

from core.output.preferences.pairing import Pool, next_pair
from core.output.preferences.strengths import Z95, fit_strengths
from core.output.preferences.votes import FIRST, SECOND, TIE, Design, Vote

OUTCOMES = (FIRST, SECOND, TIE)


def design_of_shape(*counts: int) -> Design:
    """Every combination of the values of up to three axes; digests say which."""
    sides = dict(zip("xyz", counts, strict=False))
    empty = Design(sides=sides, rows={})
    rows = {}
    for at in product(*map(range, counts)):
        row = np.zeros(empty.size)
        row[[empty.place(side, index) for side, index in zip(sides, at, strict=True)]] = 1
        rows[".".join(map(str, at))] = row
    return Design(sides=sides, rows=rows)


def votes_of(first: str, second: str, wins: int, losses: int, ties: int = 0) -> list[Vote]:
    choices = [FIRST] * wins + [SECOND] * losses + [TIE] * ties
    return [Vote(voter="a", first=first, second=second, choice=one, at=0.0) for one in choices]


def answer(
    design: Design, taste: np.ndarray, first: str, second: str, rng: np.random.Generator
) -> Vote:
    """What someone of this taste says: Davidson's model, with many ties."""
    d = float(design.difference(first, second) @ taste)
    odds = np.exp([d / 2, -d / 2, -0.5])
    choice = OUTCOMES[int(rng.choice(3, p=odds / odds.sum()))]
    return Vote(voter="a", first=first, second=second, choice=choice, at=0.0)


@pytest.mark.parametrize(("wins", "losses", "ties"), [(7, 3, 0), (7, 3, 4), (5, 0, 0), (2, 2, 9)])
def test_two_pictures_have_a_closed_form(wins: int, losses: int, ties: int) -> None:
    """The mode is that of counts with a half added; its information is the multinomial's."""
    fit = fit_strengths(design_of_shape(2), votes_of("0", "1", wins, losses, ties))
    found = fit.between("x", 0, 1)
    assert found is not None
    assert found.value == pytest.approx(math.log((wins + 0.5) / (losses + 0.5)), abs=1e-6)
    count = wins + losses + ties
    first, second = ((n + 0.5) / (count + 1.5) for n in (wins, losses))
    variance = (1 / first + 1 / second) / count
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-5)


def test_the_side_shown_does_not_matter() -> None:
    design = design_of_shape(3)
    shown = votes_of("0", "1", 6, 2, 1) + votes_of("1", "2", 3, 3, 0)
    turned = votes_of("1", "0", 2, 6, 1) + votes_of("2", "1", 3, 3, 0)
    one, other = (fit_strengths(design, votes).of("x", 0) for votes in (shown, turned))
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(other.value)


def test_no_neighbouring_strengths_are_more_likely() -> None:
    """The penalised likelihood, written as a loop over votes, is largest at what was found."""
    design, rng = design_of_shape(3, 2), np.random.default_rng(1)
    taste = np.array([0.0, 1.0, -1.0, 0.5, 0.0])
    names = list(design.rows)
    votes = [
        answer(design, taste, names[one], names[other], rng)
        for one, other in (rng.choice(len(names), 2, replace=False) for _ in range(40))
    ]

    def likelihood(free: np.ndarray) -> float:
        beta = np.array([0, free[0], free[1], 0, free[2]])
        total, information = 0.0, np.zeros((4, 4))
        for vote in votes:
            part = design.difference(vote.first, vote.second)[[1, 2, 4]] / 2
            lines = np.array([[*part, 0], [*-part, 0], [0, 0, 0, 1]])
            d = float(design.difference(vote.first, vote.second) @ beta)
            odds = np.exp([d / 2, -d / 2, free[3]])
            chances = odds / odds.sum()
            total += math.log(chances[OUTCOMES.index(vote.choice)])
            mean = chances @ lines
            information += sum(
                p * np.outer(line - mean, line - mean)
                for p, line in zip(chances, lines, strict=True)
            )
        return total + math.log(np.linalg.det(information)) / 2

    fit = fit_strengths(design, votes)
    found = [fit.between("x", 1, 0), fit.between("x", 2, 0), fit.between("y", 1, 0)]
    values = [one.value for one in found if one is not None]
    ties = max(np.linspace(-3, 3, 601), key=lambda tie: likelihood(np.array([*values, tie])))
    best = np.array([*values, ties])
    for place in range(3):
        for step in (-0.05, 0.05):
            assert likelihood(best + step * np.eye(4)[place]) < likelihood(best)


@pytest.mark.parametrize("chosen", [False, True], ids=["any pairs", "pairs that tell most"])
def test_intervals_hold_the_truth_as_often_as_they_say(chosen: bool) -> None:
    design = design_of_shape(4, 3, 2)
    taste = np.array([0, 0.5, 1.0, -1.0, 0, 0.4, -0.6, 0.2, 0])
    seeds = {name: int(name[-1]) for name in design.rows}
    pool = Pool(design=design, seeds=seeds, same_seed=True)
    pairs = pool.pairs(np.random.default_rng(0))
    held: list[bool] = []
    for repetition in range(120):
        rng, votes = np.random.default_rng(repetition), list[Vote]()
        for _ in range(70):
            two = next_pair(pool, votes, "a", rng) if chosen else None
            one, other = two or pairs[int(rng.integers(len(pairs)))]
            votes.append(answer(design, taste, one, other, rng))
        fit = fit_strengths(design, votes)
        for side, start, count in (("x", 0, 4), ("y", 4, 3)):
            truth = taste[start : start + count] - taste[start : start + count].mean()
            for index in range(count):
                found = fit.of(side, index)
                assert found is not None
                held.append(found.low <= truth[index] <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


def by(voter: str, votes: list[Vote]) -> list[Vote]:
    return [replace(vote, voter=voter) for vote in votes]


def test_two_voters_have_a_closed_form() -> None:
    """Three resamples, of odds 1 : 2 : 1, each with a closed form of its own."""
    votes = by("a", votes_of("0", "1", 7, 3)) + by("b", votes_of("0", "1", 4, 8))
    fit = fit_strengths(design_of_shape(2), votes)
    found = fit.between("x", 0, 1)
    assert found is not None
    assert found.value == pytest.approx(math.log(11.5 / 11.5), abs=1e-6)
    ends = [math.log(one) for one in (14.5 / 6.5, 11.5 / 11.5, 8.5 / 16.5)]
    mean = np.average(ends, weights=[1, 2, 1])
    deviation = math.sqrt(2 * np.average((np.array(ends) - mean) ** 2, weights=[1, 2, 1]))
    reach = special.stdtrit(1, 0.975) * deviation
    # The resamples are drawn, not counted.
    assert found.high - found.value == pytest.approx(reach, rel=0.15)
    assert (fit.voters, fit.is_clustered) == (2, True)


def test_one_voter_is_as_before_and_voters_who_say_the_same_agree() -> None:
    votes = votes_of("0", "1", 7, 3, 1)
    alone = fit_strengths(design_of_shape(2), votes)
    assert (alone.voters, alone.is_clustered, alone.quantile) == (1, False, Z95)
    copies = [vote for name in "abcdefghijkl" for vote in by(name, votes)]
    fit = fit_strengths(design_of_shape(2), copies)
    # Twelve voters of one opinion differ in nothing, and each resample is the same: what is left is
    # that votes are few.
    assert fit.over_voters is not None
    assert np.abs(fit.over_voters).max() < 1e-9
    assert fit.between("x", 0, 1) == fit_strengths(design_of_shape(2), by("a", copies)).between(
        "x", 0, 1
    )


def test_voters_of_other_pairs_leave_the_votes_independent() -> None:
    """Most resamples have no voter of one of the pairs."""
    votes = by("a", votes_of("0", "1", 7, 3)) + by("b", votes_of("1", "2", 2, 5))
    fit = fit_strengths(design_of_shape(3), votes)
    plain = fit_strengths(design_of_shape(3), by("a", votes))
    assert (fit.voters, fit.is_clustered) == (2, False)
    assert fit.between("x", 0, 1) == plain.between("x", 0, 1)


def test_intervals_hold_the_truth_where_tastes_differ() -> None:
    """Six voters whose tastes differ by as much as the values do: votes are not independent."""
    design, mean = design_of_shape(3), np.array([0.0, 0.6, -0.4])

    def votes_by(rng: np.random.Generator, voters: int) -> list[Vote]:
        found: list[Vote] = []
        for voter in range(voters):
            taste = mean + rng.normal(size=3)
            for _ in range(12):
                first, second = map(str, rng.choice(3, 2, replace=False))
                found += by(str(voter), [answer(design, taste, first, second, rng)])
        return found

    pairs = ((1, 0), (2, 0), (1, 2))
    every = fit_strengths(design, by("all", votes_by(np.random.default_rng(1), 1200)))
    truths = [found.value for one, other in pairs if (found := every.between("x", one, other))]
    held: dict[bool, list[bool]] = {True: [], False: []}
    for repetition in range(40):
        votes = votes_by(np.random.default_rng(100 + repetition), 6)
        for is_clustered, some in ((True, votes), (False, by("all", votes))):
            fit = fit_strengths(design, some)
            assert fit.is_clustered == is_clustered
            for (one, other), truth in zip(pairs, truths, strict=True):
                found = fit.between("x", one, other)
                assert found is not None
                held[is_clustered].append(found.low <= truth <= found.high)
    assert 0.91 <= np.mean(held[True]) <= 0.99
    assert np.mean(held[False]) < 0.9


def test_what_no_vote_compares_has_no_strength() -> None:
    """Values in two groups that never met, and seeds that were the same on both sides."""
    design = design_of_shape(4, 2)
    votes = votes_of("0.0", "1.0", 3, 1) + votes_of("2.1", "3.1", 3, 1)
    fit = fit_strengths(design, votes)
    assert fit.of("x", 0) is None
    assert fit.between("x", 0, 2) is None
    assert fit.between("x", 0, 1) is not None
    assert fit.of("y", 0) is None
    assert fit_strengths(design, []).of("x", 0) is None


def test_votes_on_other_pictures_do_not_count() -> None:
    design, votes = design_of_shape(2), votes_of("0", "1", 4, 1)
    alone = fit_strengths(design, votes).of("x", 0)
    assert fit_strengths(design, [*votes, *votes_of("0", "gone", 0, 9)]).of("x", 0) == alone
