"""How many steps are enough: each picture against that of the most steps of its row or column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.output.figures.convergence_figure import CONVERGENCE, convergence_figure
from core.output.numbers.cell_numbers import Place
from core.output.numbers.convergence import (
    LEAST_RMSE,
    latent_distances,
    lines,
    most_steps,
    steps_side,
)
from core.runs.store.store import Store, StoreError
from ui.grid.board import Board
from ui.grid.grid import choose_page
from ui.grid.measured import await_measures
from ui.help import links_of_figure
from ui.runtime import Runtime
from ui.views import plain

CELL = "Reference cell"


def is_against_most_steps(board: Board) -> bool:
    """Ask what the cells are measured against, where the number of steps varies; False where the
    answer is the reference cell.
    """
    side = steps_side(board.sweep)
    if side is None:
        return False
    most = f"The most steps of the same {'row' if side == 'x' else 'column'}"
    chosen = st.segmented_control(
        "Measure against",
        [CELL, most],
        default=CELL,
        required=True,
        key=board.state.name(f"against:{side}"),
        persist_state="session",
    )
    return chosen == most


def show_convergence(runtime: Runtime, board: Board) -> None:
    """Distance over steps, a line a row, by the final latents where every cell has kept them."""
    z = choose_page(board)
    done = {cell.place: cell for cell in board.done()}
    latents = _latents(runtime.store, board)
    if latents is not None:
        distances = latent_distances(board.sweep, latents)
    else:
        pairs = {
            place: (cell.digest, done[most_steps(board.sweep, place)].digest)
            for place, cell in done.items()
            if most_steps(board.sweep, place) in done
        }
        known = await_measures(runtime, board, list(dict.fromkeys(pairs.values())))
        if known is None:
            return
        measured = {place: known.of_pair(*pair).get("rmse") for place, pair in pairs.items()}
        distances = {place: one for place, one in measured.items() if one is not None}
    if not any(distances.values()):
        st.info("There is a curve as soon as pictures of several numbers of steps differ.")
        return
    settings = {place: cell.at.settings for place, cell in done.items()}
    least = LEAST_RMSE if latents is None else 0.0
    drawn = lines(board.sweep, settings, distances, z=z, least=least)
    measure = "RMSE (of 255)" if latents is None else "RMSE of the final latents"
    figure = convergence_figure(drawn, f"{measure} to the most steps")
    st.plotly_chart(figure, key=board.state.name("convergence"), width="stretch")
    words = "The order is the k of c (n⁻ᵏ − N⁻ᵏ), fitted to the distances; N is the most steps. "
    if latents is None:
        words += f"Distances below {LEAST_RMSE:g} are rounding to 8 bits, and not in the fit. "
    if any(line.draws_noise for line in drawn):
        words += "A scheduler that adds fresh noise draws other noise for other steps: it comes to "
        words += "no one picture, and has no order."
    st.caption(f"{plain(words)}  \n{links_of_figure(CONVERGENCE)}")
    _show_table(board, distances)


def _show_table(board: Board, distances: Mapping[Place, float]) -> None:
    table: dict[str, list[str | float]] = {
        axis.label(): [axis.value_label(place["xyz".index(side)]) for place in distances]
        for side, axis in board.sweep.axes().items()
    }
    table["Distance"] = list(distances.values())
    st.dataframe(
        table,
        hide_index=True,
        column_config={"Distance": st.column_config.NumberColumn(format="%.4g")},
    )


def _latents(store: Store, board: Board) -> dict[Place, np.ndarray] | None:
    """The final latents of the finished cells by place; None where one has not kept them."""
    done = board.done()
    if len(store.holds([cell.digest for cell in done], "latents")) < len({c.digest for c in done}):
        return None
    found: dict[Place, np.ndarray] = {}
    for cell in done:
        try:
            trajectory = store.trajectory(cell.digest)
        except StoreError:
            return None
        if trajectory is None or trajectory.latents is None:
            return None
        found[cell.place] = trajectory.latents[-1]
    return found
