"""The results of a blind test, for a voter who has finished; votes exported and deleted."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.output.preferences.agreement import agreement, consistency
from core.output.preferences.report import (
    intervals_sentence,
    sentences,
    strengths_figure,
    votes_csv,
)
from core.output.preferences.strengths import fit_strengths
from core.output.preferences.votes import Vote
from ui.frame import safe
from ui.preferences.contest import Contest
from ui.views import plain

ALL, MINE = "All voters", "Mine"
METHOD = (
    "Bradley-Terry strengths with ties (Davidson) and Jeffreys' prior, each value against the mean "
    "of its axis; bars are 95 % intervals. Percentages leave ties out."
)


def show_results(contest: Contest) -> None:
    """What those say who have finished, and what can be done with the votes."""
    finished = contest.ballots.finished(contest.key)
    counted = [vote for vote in contest.votes if vote.voter in finished]
    waiting = {vote.voter for vote in contest.votes} - finished
    if len(finished) > 1 and _choose(contest) == MINE:
        counted = contest.own
    fit = fit_strengths(contest.design, counted)
    for line in sentences(contest.board.sweep, fit):
        st.markdown(plain(line))
    figure = strengths_figure(contest.board.sweep, fit)
    if figure is not None:
        st.plotly_chart(figure, key=_name(contest, "figure"), width="stretch")
    lines = [_said_of(counted), _said_of_repeats(contest), _said_of_voters(contest.votes, finished)]
    if waiting:
        noun = "voter has" if len(waiting) == 1 else "voters have"
        lines.append(f"{len(waiting)} {noun} not finished: their votes are not counted yet.")
    if informed := sum(vote.informed for vote in counted):
        lines.append(f"{_votes(informed)} came after the voter had seen results.")
    if figure is not None:
        lines.append(intervals_sentence(fit))
    for line in filter(None, lines):
        st.text(line)
    st.caption(METHOD)
    _show_buttons(contest, counted)


def _choose(contest: Contest) -> str:
    chosen = st.segmented_control(
        "Votes",
        [ALL, MINE],
        default=ALL,
        required=True,
        key=_name(contest, "whose"),
        label_visibility="collapsed",
    )
    return chosen or ALL


def _said_of(votes: Sequence[Vote]) -> str:
    voters = len({vote.voter for vote in votes})
    ties = sum(not vote.winner for vote in votes)
    return (
        f"{_votes(len(votes))} of {voters} {'voter' if voters == 1 else 'voters'}, "
        f"{ties} {'tie' if ties == 1 else 'ties'}."
    )


def _said_of_repeats(contest: Contest) -> str:
    share = consistency(contest.own)
    if not share.count:
        return "No pair was repeated yet: more votes tell how consistent you are."
    return (
        f"You gave the same answer in {share.same} of {share.count} "
        f"{'repetition' if share.count == 1 else 'repetitions'} of a pair."
    )


def _said_of_voters(votes: Sequence[Vote], finished: set[str]) -> str:
    """How far those agree who have finished; "" of one alone."""
    if len(finished) < 2:
        return ""
    found = agreement([vote for vote in votes if vote.voter in finished])
    if not found.pairs:
        return "No two voters had the same pair yet: their agreement is not known."
    alpha = "" if found.alpha is None else f" (Krippendorff's alpha {found.alpha:.2f})"
    pairs = "pair" if found.pairs == 1 else "pairs"
    return (
        f"Voters agreed in {found.share.same} of {found.share.count} comparisons on "
        f"{found.pairs} shared {pairs}{alpha}."
    )


def _show_buttons(contest: Contest, counted: Sequence[Vote]) -> None:
    names = {cell.digest: contest.board.values_of(cell) for cell in reversed(contest.board.cells)}
    own, every = len(contest.own), len(contest.votes)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Vote on",
            key=_name(contest, "go_on"),
            icon=":material/how_to_vote:",
            help="The results are hidden until you stop again.",
            on_click=safe(contest.ballots.go_on),
            args=(contest.key, contest.voter),
        )
        st.download_button(
            "Export votes",
            lambda: votes_csv(counted, names),
            file_name="lightbox-votes.csv",
            mime="text/csv",
            key=_name(contest, "export"),
            icon=":material/download:",
            disabled=not counted,
            on_click="ignore",
            help="CSV, one row per vote. Voters are numbered.",
        )
        _delete_button(contest, "Delete my votes", contest.voter, own)
        if every > own:
            _delete_button(contest, "Delete all votes", None, every)
    _confirm(contest)


def _delete_button(contest: Contest, label: str, voter: str | None, count: int) -> None:
    st.button(
        label,
        key=_name(contest, label),
        icon=":material/delete:",
        disabled=not count,
        on_click=_ask,
        args=(contest, (voter, count)),
    )


def _ask(contest: Contest, what: tuple[str | None, int] | None) -> None:
    st.session_state[_name(contest, "deleting")] = what


def _confirm(contest: Contest) -> None:
    asked: tuple[str | None, int] | None = st.session_state.get(_name(contest, "deleting"))
    if asked is None:
        return
    voter, count = asked
    whose = "of every voter" if voter is None else "of yours"
    st.text(f"Delete {_votes(count)} {whose} permanently? The pictures stay.")
    with st.container(horizontal=True):
        st.button(
            "Delete permanently",
            key=_name(contest, "really"),
            type="primary",
            on_click=_delete,
            args=(contest, voter),
        )
        st.button("Cancel", key=_name(contest, "keep"), on_click=_ask, args=(contest, None))


@safe
def _delete(contest: Contest, voter: str | None) -> None:
    contest.ballots.delete(contest.key, voter)
    _ask(contest, None)


def _votes(count: int) -> str:
    return f"{count} {'vote' if count == 1 else 'votes'}"


def _name(contest: Contest, what: str) -> str:
    return contest.board.state.name(f"blind:{contest.key}:{what}")
