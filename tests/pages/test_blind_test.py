"""The Sweep page's blind test: pairs without labels, votes, results, deletions."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.output.preferences.votes import FIRST, SECOND, TIE, Vote, key_of
from core.runs.store.opinions.ballots import Ballots
from core.runs.store.store import StoreError
from tests.pages.conftest import App, messages, unescaped
from tests.pages.test_gallery import GALLERY
from tests.pages.test_sweep import PAGE, TWO_BY_TWO, run

LINK = {**TWO_BY_TWO, "sweep_view": "Blind test"}


@pytest.fixture
def voting(app: App) -> AppTest:
    """The page of a sweep that has run, its blind test in view."""
    run(app.open(PAGE, **TWO_BY_TWO))
    app.finish()
    return app.open(PAGE, **LINK)


def ballots(app: App) -> Ballots:
    return Ballots(app.store.database)


def key(app: App) -> str:
    return key_of(image.digest for image in app.store.search())


def votes(app: App) -> list[Vote]:
    return ballots(app).votes(key(app))


def button(at: AppTest, label: str) -> Any:
    return next(one for one in at.button if one.label == label)


def labels(at: AppTest) -> list[str]:
    return [one.label for one in at.button]


def said(at: AppTest) -> str:
    boxes = (*at.info, *at.markdown, *at.text, *at.caption)
    return "\n".join(unescaped(str(box.value)) for box in boxes)


def vote(at: AppTest, *answers: str) -> AppTest:
    for answer in answers:
        button(at, answer).click().run()
    return at


def test_before_a_run_it_says_what_it_needs(app: App) -> None:
    assert "needs two finished pictures" in said(app.open(PAGE, **LINK))


def test_a_pair_is_shown_without_labels_and_answered_by_keys(app: App, voting: AppTest) -> None:
    pictures = [str(image.proto) for image in voting.get("image")]
    assert ["Picture 1" in pictures[0], "Picture 2" in pictures[1]] == [True, True]
    assert not [one for one in pictures if "apple" in one], "nothing says which is which"
    keys = {one.label: one.proto.shortcut for one in voting.button if one.proto.shortcut}
    assert keys | {"First": "1", "Second": "2", "Tie": "0", "Undo": "backspace"} == keys
    assert button(voting, "Stop and see results").disabled
    vote(voting, "First", "Tie", "Second")
    found = votes(app)
    assert [one.choice for one in found] == [FIRST, TIE, SECOND]
    seeds = {image.digest: image.settings.seed for image in app.store.search()}
    assert all(seeds[one.first] == seeds[one.second] for one in found)
    assert all(one.pair != other.pair for one, other in pairwise(found))


def test_undo_asks_the_same_pair_again(app: App, voting: AppTest) -> None:
    vote(voting, "First", "Second")
    last = votes(app)[-1]
    vote(voting, "Undo", "First")
    (_, again) = votes(app)
    assert (again.first, again.second, again.choice) == (last.first, last.second, FIRST)


def test_two_seeds_by_choice(app: App, voting: AppTest) -> None:
    voting.toggle(key="sweep:same_seed").set_value(False).run()
    vote(voting, *["Tie"] * 12)
    seeds = {image.digest: image.settings.seed for image in app.store.search()}
    assert any(seeds[one.first] != seeds[one.second] for one in votes(app))


def test_results_come_after_the_end_and_go_on_hides_them(app: App, voting: AppTest) -> None:
    scales = {image.digest: image.settings.guidance_scale for image in app.store.search()}
    for _ in range(20):  # the stronger guidance is always preferred
        at = voting
        shown = at.session_state[f"sweep:blind:{key(app)}:pair"][1]
        vote(at, "First" if scales[shown[0]] > scales[shown[1]] else "Second")
    assert "preferred" not in said(voting)
    vote(voting, "Stop and see results")
    assert "Guidance scale 5 is preferred to 3" in said(voting)
    assert "Seed: no vote compares its values." in said(voting)
    assert re.search(r"same answer in (\d+) of \1 repetitions", said(voting))
    assert len(voting.get("plotly_chart")) == 1
    again = app.open(PAGE, **LINK)  # another browser has not finished
    assert "preferred" not in said(again)
    vote(voting, "Vote on")
    assert "preferred" not in said(voting)
    vote(voting, "First", "Stop and see results")
    assert "1 vote came after the voter had seen results." in said(voting)


def test_another_voter_is_compared_once_through(app: App, voting: AppTest) -> None:
    first, second = sorted(image.digest for image in app.store.search())[:2]
    for answer in (FIRST, FIRST):
        ballots(app).add(key(app), "them", first, second, answer)
    vote(voting, "First", "Tie", "Stop and see results")
    assert "1 voter has not finished: their votes are not counted yet." in said(voting)
    assert "2 votes of 1 voter, 1 tie." in said(voting)
    ballots(app).finish(key(app), "them")
    voting.run()
    assert "4 votes of 2 voters, 1 tie." in said(voting)
    assert "pair" in said(voting)


def test_votes_on_deleted_pictures_are_said_and_kept(app: App, voting: AppTest) -> None:
    vote(voting, "First", "Second")
    gone = votes(app)[0].first
    name = key(app)
    at = app.open(GALLERY, gallery_grouped="false", gallery_open=gone)
    button(at, "Delete").click().run()
    about = sum(gone in (one.first, one.second) for one in votes(app))
    noun = "1 vote of blind tests stay" if about == 1 else f"{about} votes of blind tests stay"
    assert noun.split(" stay")[0] in said(at)
    app.store.delete([gone])
    at = app.open(PAGE, **LINK)
    assert "1 picture was deleted" in said(at)
    assert "The votes are kept and count" in said(at)
    at.toggle(key="sweep:same_seed").set_value(False).run()
    vote(at, "Tie", "Tie", "Tie")
    kept = ballots(app).votes(name)
    assert len(kept) == 5
    assert all(gone not in (one.first, one.second) for one in kept[2:])


def test_a_vote_that_cannot_be_kept_is_said_and_asked_again(
    app: App, voting: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("The disk is full. Free some space.")

    with monkeypatch.context() as broken:
        broken.setattr(Ballots, "add", full)
        vote(voting, "First")
    assert any("The disk is full" in one for one in messages(voting))
    assert votes(app) == []
    vote(voting, "Second")
    assert [one.choice for one in votes(app)] == [SECOND]


def test_deleting_votes_is_confirmed(app: App, voting: AppTest) -> None:
    vote(voting, "First", "Second", "Stop and see results", "Delete my votes")
    assert "Delete 2 votes of yours permanently?" in said(voting)
    vote(voting, "Cancel")
    assert len(votes(app)) == 2
    vote(voting, "Delete my votes", "Delete permanently")
    assert votes(app) == []
    assert "First" in labels(voting)
