"""More seeds for a grid: in one click, with its cost before it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.sweeps.seeds import with_more_seeds
from core.sweeps.sweep import Sweep
from ui.grid.board import Board
from ui.grid.plan import SweepForm, plan_of
from ui.grid.state import GridState
from ui.runtime import Runtime
from ui.views import duration, plain

MORE = 7
"""Seeds that a click adds: of one seed this makes eight, which show what three or four hide."""

Extend = Callable[[Sweep], None]
"""What a page does to run a sweep with more seeds: in a callback."""


def offer_more_seeds(runtime: Runtime, board: Board, extend: Extend | None) -> None:
    """A button that extends the sweep, and what it will cost; why not, where it cannot be."""
    if extend is None:
        st.caption("Open it as a sweep to add seeds.")
        return
    more = with_more_seeds(board.sweep, MORE)
    if more is None:
        st.caption("All of columns, rows and pages vary: take one away to add seeds.")
        return
    form = SweepForm(sweep=more, problems=(), draws_seed=False)
    plan = plan_of(runtime, GridState(prefix=board.state.prefix, grid="more"), form)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"Add {MORE} seeds",
            key=board.state.name("more_seeds"),
            icon=":material/add:",
            type="primary" if len(board.cells) == len(board.done()) else "secondary",
            disabled=bool(plan.problems) or board.is_running,
            on_click=extend,
            args=(more,),
        )
        if plan.problems:
            words = "; ".join(str(problem) for problem in plan.problems[:3])
            st.caption(plain(f"Not possible: {words}."), width="stretch")
            return
        if not plan.to_compute:
            st.caption("Nothing to compute: they are stored.", width="stretch")
            return
        words = f"{plan.to_compute:,} cells to compute · {plan.unet_rows:,} UNet rows"
        if plan.estimate is not None:
            about = "about" if plan.estimate.is_like else "up to"
            words += f" · {about} {duration(plan.estimate.seconds, rough=True)}"
        st.caption(f"{words}. What is stored is not computed again.", width="stretch")
