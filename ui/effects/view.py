"""Effects: what mattered in a grid, from the pictures that are stored of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from core.exports.effects.baselines import AGAINST, base_digests, pairs_of
from core.exports.effects.found import find_effects, shares_of_pictures
from core.exports.effects.grid import MeasuredGrid, measure_label, measure_note, measured_grid
from core.output.effects.result import Effects, ShareTable
from core.output.effects.words import (
    difference_sentence,
    once_sentence,
    overall,
    power_sentence,
    share_sentence,
    term_sentence,
)
from core.output.figures.effect_figures import (
    CURVE,
    DIFFERENCE,
    SHARE,
    curve_figure,
    difference_figure,
    share_figure,
)
from core.output.numbers.quantities import QUANTITIES
from core.sweeps.seeds import block_side
from ui.effects.export import figure_config, show_effects_export
from ui.effects.more import Extend, offer_more_seeds, offer_refinement
from ui.effects.own import own_numbers, show_own_numbers
from ui.grid.board import Board, reason_of
from ui.grid.measured import await_measures
from ui.grid.numbers import reference_of
from ui.help import links_of_figure, links_of_quantity
from ui.runtime import Runtime
from ui.views import plain, show_empty, show_warning

FIRST_MEASURES = ("clip_score", "colourfulness")
"""What is looked at first, of those that were measured."""


MOST_NOTES = 3


def show_effects(
    runtime: Runtime, board: Board, *, extend: Extend | None = None, refines: bool = True
) -> None:
    """What the axes do to a measure: in words, as figures, and what more seeds would cost.

    `extend` runs a larger grid; where it can add seeds alone, it does not `refines`.
    """
    side = block_side(board.sweep)
    if not [at for at in board.sweep.axes() if at != side]:
        show_empty(
            ":material/query_stats:",
            "Only the seed varies",
            "Choose another axis beside it: its effect is measured seed by seed.",
        )
        return
    if not board.done():
        show_empty(
            ":material/query_stats:",
            "No picture yet",
            "Run the sweep: what its axes do is measured of its pictures.",
        )
        return
    against = _against(board)
    reference = reference_of(board)
    bases = base_digests(
        board.sweep, board.plan, against, reference.place if reference else (0, 0, 0)
    )
    done = {cell.digest for cell in board.done()}
    known = await_measures(runtime, board, pairs_of(board.plan, bases, done))
    if known is None:
        return
    own = own_numbers(runtime, board)
    measured = measured_grid(
        board.sweep,
        board.plan,
        known,
        reasons={cell.index: why for cell in board.cells if (why := reason_of(cell))},
        bases=bases,
        own=own,
    )
    said = st.container(gap="xsmall")
    name = _choose_measure(board, measured, against)
    effects = _effects(measured, name, _stamp(measured, name))
    pictures = _of_pictures(measured, _stamp(measured)) if effects.has_parts else ()
    tables = (*effects.shares, *pictures)
    with said:
        _say(effects, tables)
        if not board.is_running:
            offer_more_seeds(runtime, board, extend)
            offer_refinement(runtime, board, measured, effects, extend if refines else None)
    _show_figures(board, effects)
    _show_shares(board, effects, tables)
    with st.expander("Numbers of your own", icon=":material/edit_note:", key=_name(board, "own")):
        show_own_numbers(runtime, board, own)
    with st.expander("Export", icon=":material/download:", key=_name(board, "export")):
        show_effects_export(board, measured, effects)
    for sentence in effects.left_out:
        st.caption(plain(sentence))


def _name(board: Board, what: str) -> str:
    return board.state.name(f"effects:{what}")


def _against(board: Board) -> str:
    """What each picture is compared with: chosen beside a measure of two pictures."""
    chosen = st.session_state.get(_name(board, "against"))
    return str(chosen) if chosen in AGAINST else next(iter(AGAINST))


def _choose_measure(board: Board, measured: MeasuredGrid, against: str) -> str:
    names = [measure.name for measure in measured.grid.measures]
    first = next((name for name in FIRST_MEASURES if name in names), names[0])
    key = _name(board, "measure")
    if st.session_state.get(key) not in names:
        st.session_state[key] = first
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            "Measure",
            names,
            format_func=measure_label,
            key=key,
            width=240,
            persist_state="session",
        )
        if _compares(name):
            st.selectbox(
                "Compared with",
                list(AGAINST),
                format_func=lambda one: AGAINST[one][0].upper() + AGAINST[one][1:],
                key=_name(board, "against"),
                width=280,
                persist_state="session",
            )
    st.caption(f"{plain(measure_note(name, against))} {links_of_quantity(name)}".strip())
    return name


def _compares(name: str) -> bool:
    return name in QUANTITIES and QUANTITIES[name].needs in ("pair", "seen")


def _stamp(measured: MeasuredGrid, name: str = "") -> str:
    """What the effects of a measure depend on, or those on the pictures themselves."""
    grid = measured.grid
    parts = [(one.levels, one.block, one.digest, one.values.get(name)) for one in grid.observations]
    content = (grid.factors, grid.missing, grid.left_out, measured.notes, parts)
    return hashlib.sha256(repr(content).encode()).hexdigest()


@st.cache_data(show_spinner=False, max_entries=64)
def _effects(_measured: MeasuredGrid, name: str, stamp: str) -> Effects:
    return find_effects(_measured, [name], with_pictures=False)


@st.cache_data(show_spinner="Taking the pictures apart", max_entries=16)
def _of_pictures(_measured: MeasuredGrid, stamp: str) -> tuple[ShareTable, ...]:
    return shares_of_pictures(_measured)


def _say(effects: Effects, tables: Sequence[ShareTable]) -> None:
    """What the axes did, and what cannot be said."""
    for one in overall(effects):
        st.markdown(f"**{plain(difference_sentence(effects, one))}**")
        if not one.is_shown and (words := power_sentence(effects, one)):
            st.caption(plain(words))
    if effects.has_parts:
        for table in tables:
            if words := share_sentence(effects, table):
                st.markdown(plain(words))
    if effects.is_once:
        st.info(plain(once_sentence(effects)), icon=":material/casino:")
    if effects.missing:
        show_warning("Some cells are missing", "\n\n".join(effects.missing))


def _show_shares(board: Board, effects: Effects, tables: Sequence[ShareTable]) -> None:
    """What the differences go with, as bars: of the measure, and of the pictures themselves."""
    if not effects.has_parts:
        return
    for table in tables:
        if table.shares:
            st.plotly_chart(
                share_figure(table),
                key=_name(board, f"share:{table.measure}"),
                width="stretch",
                config=figure_config(board),
            )
            said = " ".join(term_sentence(table, share) for share in table.shares)
            st.caption(plain(f"{said} {table.note}".strip()))
            st.caption(links_of_figure(SHARE))


def _show_figures(board: Board, effects: Effects) -> None:
    """Curves over each axis, each difference with its interval, and all of it as a table."""
    if all(value is None for curve in effects.curves for line in curve.lines for value in line):
        st.info("No cell has this measure.")
        return
    for curve in effects.curves:
        st.plotly_chart(
            curve_figure(effects, curve),
            key=_name(board, f"curve:{curve.factor}"),
            width="stretch",
            config=figure_config(board),
        )
    st.caption(links_of_figure(CURVE))
    if not effects.is_once:
        st.plotly_chart(
            difference_figure(effects, effects.differences),
            key=_name(board, "differences"),
            width="stretch",
            config=figure_config(board),
        )
        compared = max(one.comparisons for one in effects.differences)
        st.caption(
            "Each point is a mean difference with its 95 % interval. Filled points hold when "
            f"corrected for {compared} comparisons."
            if compared > 1
            else "The mean difference with its 95 % interval; filled where it holds."
        )
        st.caption(links_of_figure(DIFFERENCE))
    else:
        return
    notes = dict.fromkeys(one.note for one in effects.differences if one.note)
    for note in list(notes)[:MOST_NOTES]:
        st.caption(plain(note))
