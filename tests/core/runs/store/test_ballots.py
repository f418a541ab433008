"""Votes of blind tests: kept by voter, undone, finished, deleted; pictures may go before them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.output.preferences.votes import FIRST, SECOND, TIE
from core.runs.store.opinions.ballots import Ballots
from core.runs.store.store import Store, StoreError


@pytest.fixture
def ballots(tmp_path: Path) -> Ballots:
    return Ballots(Store(tmp_path).database)


def test_votes_survive_a_restart_in_their_order(ballots: Ballots, tmp_path: Path) -> None:
    ballots.add("t", "me", "a", "b", FIRST)
    ballots.add("t", "you", "b", "a", TIE)
    ballots.add("other", "me", "c", "d", SECOND)
    found = Ballots(Store(tmp_path).database).votes("t")
    assert [(v.voter, v.first, v.second, v.choice, v.winner) for v in found] == [
        ("me", "a", "b", FIRST, "a"),
        ("you", "b", "a", TIE, ""),
    ]


def test_undo_takes_the_last_of_ones_own(ballots: Ballots) -> None:
    ballots.add("t", "me", "a", "b", FIRST)
    ballots.add("t", "me", "c", "b", TIE)
    ballots.add("t", "you", "b", "a", TIE)
    assert ballots.undo("t", "me") == ("c", "b")
    assert ballots.undo("t", "me") == ("a", "b")
    assert ballots.undo("t", "me") is None
    assert [vote.voter for vote in ballots.votes("t")] == ["you"]


@pytest.mark.parametrize(("second", "choice"), [("b", 3), ("a", FIRST)])
def test_what_is_no_vote_is_refused(ballots: Ballots, second: str, choice: int) -> None:
    with pytest.raises(StoreError, match="one of two pictures"):
        ballots.add("t", "me", "a", second, choice)
    assert ballots.votes("t") == []


def test_votes_after_the_results_are_known_as_such(ballots: Ballots) -> None:
    ballots.add("t", "me", "a", "b", FIRST)
    ballots.finish("t", "me")
    assert ballots.finished("t") == {"me"}
    ballots.go_on("t", "me")
    assert ballots.finished("t") == set()
    ballots.add("t", "me", "b", "a", FIRST)
    ballots.add("t", "you", "b", "a", FIRST)
    ballots.finish("t", "me")
    assert [vote.informed for vote in ballots.votes("t")] == [False, True, False]


def test_one_voter_or_all_are_deleted(ballots: Ballots) -> None:
    for voter in ("me", "me", "you"):
        ballots.add("t", voter, "a", "b", FIRST)
    ballots.finish("t", "me")
    assert ballots.delete("t", "me") == 2
    assert ballots.finished("t") == set()
    assert [vote.voter for vote in ballots.votes("t")] == ["you"]
    assert ballots.delete("t") == 1


def test_how_many_votes_are_about_pictures(ballots: Ballots) -> None:
    ballots.add("t", "me", "a", "b", FIRST)
    ballots.add("u", "me", "c", "a", FIRST)
    assert ballots.about(["a"]) == 2
    assert ballots.about(["a", "b"]) == 2
    assert ballots.about(["b"]) == 1
    assert ballots.about(["d"]) == 0


def test_many_voters_at_once_lose_nothing(ballots: Ballots) -> None:
    def vote(number: int) -> None:
        for _ in range(5):
            ballots.add("t", f"voter {number}", "a", "b", number % 3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(vote, range(8)))
    assert len(ballots.votes("t")) == 40
