"""Voting: two pictures side by side without a label, and the keys that answer."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.output.preferences.pairing import next_pair
from core.output.preferences.votes import FIRST, SECOND, TIE, Pair
from ui.frame import safe
from ui.preferences.contest import Contest
from ui.views import picture_bytes

LEAST = 2
"""Votes that have results to see."""


def show_voting(contest: Contest) -> None:
    """The pair in question with its buttons, and what ends the test."""
    pair = _pair(contest, same_seed=_choose_seeds(contest))
    count = len(contest.own)
    if pair is None:
        st.info(
            "No other pair is left to ask about. Stop to see the results."
            if count
            else "These settings leave no two pictures to compare."
        )
    else:
        _show_pair(contest, pair, count)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if pair is not None:
            _answer_button(contest, pair, count, "Tie", "0", TIE)
        st.button(
            "Undo",
            key=_name(contest, f"undo:{count}"),
            icon=":material/undo:",
            shortcut="Backspace",
            disabled=not count,
            on_click=_undo,
            args=(contest,),
        )
        st.button(
            "Stop and see results",
            key=_name(contest, "stop"),
            icon=":material/flag:",
            disabled=count < LEAST,
            on_click=safe(contest.ballots.finish),
            args=(contest.key, contest.voter),
        )
    st.progress(
        min(1.0, count / contest.enough),
        text=f"{count} {'vote' if count == 1 else 'votes'} · about {contest.enough} tell the "
        "values apart. Stop at any time.",
    )


def _choose_seeds(contest: Contest) -> bool:
    """Whether both sides have one seed; asked where there is a choice."""
    alike = contest.pool(same_seed=True).pairs(np.random.default_rng(0))
    if not alike or len(set(contest.seeds.values())) == 1:
        return bool(alike)
    return st.toggle(
        "Same seed on both sides",
        value=True,
        key=contest.board.state.name("same_seed"),
        persist_state="session",
        help="Only what the axes change differs between the two pictures.",
    )


def _pair(contest: Contest, *, same_seed: bool) -> Pair | None:
    """The pair in question, the same until it is answered; the digest for the left first."""
    name = _name(contest, "pair")
    asked = (len(contest.own), same_seed)
    kept: tuple[tuple[int, bool], Pair] | None = st.session_state.get(name)
    if kept is not None and kept[0] == asked and set(kept[1]) <= set(contest.seeds):
        return kept[1]
    pool = contest.pool(same_seed=same_seed)
    pair = next_pair(pool, contest.votes, contest.voter, np.random.default_rng())
    if pair is not None:
        st.session_state[name] = (asked, pair)
    return pair


def _show_pair(contest: Contest, pair: Pair, count: int) -> None:
    sides = (("First", "1", FIRST), ("Second", "2", SECOND))
    for column, digest, side in zip(st.columns(2, gap="small"), pair, sides, strict=True):
        with column:
            if (data := picture_bytes(contest.store, digest)) is not None:
                st.image(data, width="stretch", output_format="PNG", alt=f"Picture {side[1]}")
            _answer_button(contest, pair, count, *side, width="stretch")


def _answer_button(
    contest: Contest,
    pair: Pair,
    count: int,
    label: str,
    key: str,
    choice: int,
    *,
    width: str = "content",
) -> None:
    """`count` is in the button's name: a second press of a key, before the next pair is drawn, is
    for a button that is gone.
    """
    st.button(
        label,
        key=_name(contest, f"{key}:{count}"),
        shortcut=key,
        width="stretch" if width == "stretch" else "content",
        on_click=_vote,
        args=(contest, pair, choice),
    )


@safe
def _vote(contest: Contest, pair: Pair, choice: int) -> None:
    contest.ballots.add(contest.key, contest.voter, *pair, choice)


@safe
def _undo(contest: Contest) -> None:
    """The pair of the last vote is asked again."""
    pair = contest.ballots.undo(contest.key, contest.voter)
    kept = st.session_state.get(_name(contest, "pair"))
    if pair is not None and kept is not None:
        (count, same_seed), _ = kept
        st.session_state[_name(contest, "pair")] = ((count - 1, same_seed), pair)


def _name(contest: Contest, what: str) -> str:
    return contest.board.state.name(f"blind:{contest.key}:{what}")
