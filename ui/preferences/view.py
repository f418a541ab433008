"""Blind test: which pictures of a sweep are preferred, asked without a label."""

from __future__ import annotations

import streamlit as st

from ui.frame import safe
from ui.grid.board import Board
from ui.preferences.contest import Contest, contest_of
from ui.preferences.results import show_results
from ui.preferences.voting import show_voting
from ui.runtime import Runtime


@st.fragment
@safe
def show_blind(runtime: Runtime, board: Board) -> None:
    """Pairs to vote on; the results once this browser has finished. A vote draws this alone."""
    contest = contest_of(runtime, board)
    is_finished = contest.voter in contest.ballots.finished(contest.key)
    if len(contest.seeds) < 2 and not contest.votes:
        st.info("A blind test needs two finished pictures: press Run.")
        return
    _say_deleted(contest)
    if is_finished:
        show_results(contest)
    elif len(contest.seeds) < 2:
        st.info("Voting needs two finished pictures: press Run.")
    else:
        show_voting(contest)


def _say_deleted(contest: Contest) -> None:
    """Votes outlive their pictures, which cannot be shown again until they are computed."""
    if not (votes := contest.on_deleted):
        return
    gone = {one for vote in votes for one in (vote.first, vote.second)} - set(contest.seeds)
    what = "1 picture was" if len(gone) == 1 else f"{len(gone)} pictures were"
    about = "1 vote is" if len(votes) == 1 else f"{len(votes)} votes are"
    st.info(
        f"{what} deleted, which {about} about. The votes are kept and count; the pictures are not "
        "asked about until Run has computed them again."
    )
