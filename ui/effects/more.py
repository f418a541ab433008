"""A larger grid in one click: more seeds, or values where they tell most; its cost before it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.exports.effects.grid import MeasuredGrid
from core.exports.effects.refine import Refinement, refinements, smallest_budget
from core.output.effects.result import Effects
from core.sweeps.plan import Plan
from core.sweeps.refine import only_new
from core.sweeps.seeds import with_more_seeds
from core.sweeps.sweep import MAX_CELLS, Sweep
from ui.grid.board import Board
from ui.grid.plan import SweepForm, plan_of
from ui.grid.state import GridState
from ui.runtime import Runtime
from ui.settings.fields import bounded
from ui.views import duration, plain

MORE = 7
"""Seeds that a click adds: of one seed this makes eight, which show what three or four hide."""

FIRST_BUDGET = 16
"""Cells that Refine begins with, where a value or a seed does not take more."""

MOST_LISTED = 12
REFINE = "refine"

Extend = Callable[[Sweep], None]
"""What a page does to run a larger sweep: in a callback."""


def offer_more_seeds(runtime: Runtime, board: Board, extend: Extend | None) -> None:
    """A button that extends the sweep, and what it will cost; why not, where it cannot be."""
    if extend is None:
        st.caption("Open it as a sweep to add seeds.")
        return
    more = with_more_seeds(board.sweep, MORE)
    if more is None:
        st.caption("All of columns, rows and pages vary: take one away to add seeds.")
        return
    _offer(
        runtime,
        board,
        more,
        extend,
        name="more_seeds",
        label=f"Add {MORE} seeds",
        icon=":material/add:",
        is_first=len(board.cells) == len(board.done()),
    )


def offer_refinement(
    runtime: Runtime,
    board: Board,
    measured: MeasuredGrid,
    effects: Effects,
    extend: Extend | None,
) -> None:
    """What up to as many cells as a person allows would add, why, and at what cost; a click adds
    them. Nothing where the page cannot extend its grid.
    """
    if extend is None:
        return
    with st.expander(
        "Refine", icon=":material/grid_goldenratio:", key=_open_name(board.state), on_change="rerun"
    ) as folded:
        if not folded.open:
            return
        st.caption(
            "Adds values in the middle between two neighbours whose pictures differ most, or seeds "
            "where an interval is widest. The grid keeps its cells and stays a full grid: a value "
            "or a seed more is a whole column, row or page."
        )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            budget = bounded(
                "Cells at most",
                1,
                MAX_CELLS,
                min(MAX_CELLS, max(FIRST_BUDGET, smallest_budget(board.sweep))),
                key=board.state.name("refine_budget"),
                width=140,
            )
            found = refinements(board.sweep, measured, effects, budget)
            able = {one.name: one for one in found if one.sweep is not None}
            chosen = _choose(board, able) if able else None
        if chosen is not None and chosen.sweep is not None:
            shown = list(chosen.added[:MOST_LISTED])
            left = len(chosen.added) - len(shown)
            listed = ", ".join(shown) + (f" and {left} more" if left else "")
            st.markdown(plain(f"Adds {listed}: {_cells(chosen.cells)} more."))
            for why in chosen.reasons[:MOST_LISTED]:
                st.caption(plain(why))
            _offer(
                runtime,
                board,
                chosen.sweep,
                extend,
                name=REFINE,
                label="Refine",
                icon=":material/add:",
                is_first=True,
            )
        for one in found:
            if one.sweep is None:
                st.caption(plain(" ".join((one.problem, *one.reasons))))


def open_refine(state: GridState) -> None:
    """Open Refine where Effects are drawn next: a callback."""
    st.session_state[_open_name(state)] = True


def _open_name(state: GridState) -> str:
    return state.name("refine_open")


def _choose(board: Board, able: dict[str, Refinement]) -> Refinement:
    """The way that was chosen, else the first: that of the largest gap."""
    key = board.state.name("refine_what")
    if st.session_state.get(key) not in able:
        st.session_state[key] = next(iter(able))
    name = st.selectbox(
        "Add",
        list(able),
        format_func=lambda name: able[name].label if name in able else str(name),
        key=key,
        width=280,
    )
    return able[name]


def _offer(
    runtime: Runtime,
    board: Board,
    sweep: Sweep,
    extend: Extend,
    *,
    name: str,
    label: str,
    icon: str,
    is_first: bool,
) -> None:
    """The button that extends the grid to `sweep`, beside what that will cost."""
    # A large grid that is stored is not laid out once more for the few cells that are new.
    is_whole = len(board.cells) == len(board.done()) and sweep.size() <= MAX_CELLS
    asked = only_new(board.sweep, sweep) if is_whole else sweep
    form = SweepForm(sweep=asked, problems=(), draws_seed=False)
    plan = plan_of(runtime, GridState(prefix=board.state.prefix, grid=name), form)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            label,
            key=board.state.name(name),
            icon=icon,
            type="primary" if is_first else "secondary",
            disabled=bool(plan.problems) or board.is_running,
            on_click=extend,
            args=(sweep,),
        )
        st.caption(plain(_cost(board, plan)), width="stretch")


def _cost(board: Board, plan: Plan) -> str:
    if plan.problems:
        return f"Not possible: {'; '.join(str(problem) for problem in plan.problems[:3])}."
    if not plan.to_compute:
        return "Nothing to compute: they are stored."
    words = f"{_cells(plan.to_compute)} to compute"
    if lacking := board.plan.distinct - len({cell.digest for cell in board.done()}):
        words += f", {lacking:,} of them missing before"
    words += f" · {plan.unet_rows:,} UNet rows"
    if plan.estimate is not None:
        words += f" · {plan.estimate.about} {duration(plan.estimate.seconds, rough=True)}"
    return f"{words}. What is stored is not computed again."


def _cells(count: int) -> str:
    return f"{count:,} cell{'s' if count != 1 else ''}"
