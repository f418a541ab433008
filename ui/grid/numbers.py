"""Numbers of every cell against a reference cell: a figure, means, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.exports.sweep import SweepExport
from core.output.figures.figures import axis_figure
from core.output.numbers.cell_numbers import CellNumbers, ReportCell, means, numbers
from core.output.numbers.quantities import LEFT_OUT, QUANTITIES, Quantity
from core.output.sheet.sheet import SheetOptions
from core.runs.store.store import Store, StoreError
from core.sweeps.axis import Axis
from core.sweeps.drawn import said
from ui.grid.board import Board, BoardCell, reason_of
from ui.grid.convergence import is_against_most_steps, show_convergence
from ui.grid.grid import choose_page
from ui.grid.measured import await_measures
from ui.help import links_of_quantity, note_of_quantity
from ui.runtime import Runtime
from ui.views import plain


def show_numbers(runtime: Runtime, board: Board) -> None:
    """Which cell to measure against, which quantity to draw, and everything as a table."""
    done = {cell.digest: cell for cell in reversed(board.done())}
    if not done:
        st.info("There are numbers as soon as a cell is finished.")
        return
    if is_against_most_steps(board):
        show_convergence(runtime, board)
        return
    reference = _choose_reference(board, done)
    name = st.selectbox(
        "Quantity",
        list(QUANTITIES),
        format_func=lambda name: QUANTITIES[name].label,
        key=board.state.name("quantity"),
        persist_state="session",
    )
    quantity = QUANTITIES[name or "rmse"]
    links = links_of_quantity(quantity.name)
    st.caption(f"{quantity.label}: {plain(quantity.note)}. {links}")
    if await_measures(runtime, board, [(digest, reference.digest) for digest in done]) is None:
        return
    found = export_of(runtime.store, board, SheetOptions()).numbers()
    z = choose_page(board)
    _show_figure(board, found, quantity, z)
    _show_table(board, found)
    for name, reason in LEFT_OUT.items():
        st.caption(f"{name} is left out: {reason}.")


def export_of(store: Store, board: Board, options: SheetOptions) -> SweepExport:
    """The sweep as it is now, to be exported."""
    reference = reference_of(board)
    return SweepExport(
        store=store,
        sweep=board.sweep,
        plan=board.plan,
        reasons={cell.index: why for cell in board.cells if (why := reason_of(cell))},
        options=options,
        reference=reference.place if reference else (0, 0, 0),
    )


def reference_of(board: Board) -> BoardCell | None:
    """The cell marked as reference, else the first that is finished."""
    done = board.done()
    marked = board.state.reference
    return next((cell for cell in done if cell.digest == marked), done[0] if done else None)


def show_numbers_of(store: Store, board: Board, cell: BoardCell) -> None:
    """One finished cell against the reference, in a row."""
    reference = reference_of(board) or cell
    found = _of_pair(store, cell, reference)
    with st.container(horizontal=True, gap="medium"):
        for name in ("rmse", "ssim", "final_latent_rms"):
            quantity = QUANTITIES[name]
            shown = quantity.show(found.value(name))
            note = note_of_quantity(name, quantity.note)
            st.metric(quantity.label, shown, width="content", help=note)
    is_same = reference.digest == cell.digest
    what = "This is the reference" if is_same else f"Reference: {board.values_of(reference)}"
    st.caption(plain(what))


def _of_pair(store: Store, cell: BoardCell, reference: BoardCell) -> CellNumbers:
    pair = [_report(store, one) for one in (cell, reference)]
    return numbers(pair, reference.place)[0]


def _report(store: Store, cell: BoardCell) -> ReportCell:
    image = store.get(cell.digest)
    try:
        trajectory = store.trajectory(cell.digest)
    except StoreError:  # a damaged one is a number missing
        trajectory = None
    return ReportCell(
        x=cell.at.x,
        y=cell.at.y,
        z=cell.at.z,
        settings=cell.at.settings,
        digest=cell.digest,
        image=image.path if image else None,
        known={"final_latent_rms": trajectory.final_latent_rms if trajectory else None},
    )


def _choose_reference(board: Board, done: dict[str, BoardCell]) -> BoardCell:
    first = reference_of(board)
    if first is not None and board.state.reference not in done:
        board.state.refer_to(first.digest)
    options = sorted(done, key=lambda digest: done[digest].index)
    chosen = st.selectbox(
        "Reference cell",
        options,
        key=board.state.name("reference"),
        format_func=lambda digest: board.values_of(done[digest]),
        persist_state="session",
    )
    return done[str(chosen)]


def _show_figure(board: Board, found: Sequence[CellNumbers], quantity: Quantity, z: int) -> None:
    if all(cell.value(quantity.name) is None for cell in found if cell.z == z):
        st.info(f"No cell has a {quantity.label}.")
        return
    figure = axis_figure(board.sweep, found, quantity.name, z)
    st.plotly_chart(figure, key=board.state.name("figure"), width="stretch")
    _show_means(board, found, quantity, z)


def _show_means(board: Board, found: Sequence[CellNumbers], quantity: Quantity, z: int) -> None:
    mean = means(board.sweep, found, quantity.name, z)
    lines: list[str] = []
    for axis, values in ((board.sweep.x, mean.columns), (board.sweep.y, mean.rows)):
        if axis is not None and board.sweep.x and board.sweep.y:
            parts = [
                f"{label}: {quantity.show(value)}"
                for label, value in zip(_values(axis), values, strict=True)
            ]
            lines.append(f"Mean by {axis.label()}  {' · '.join(parts)}")
    lines.append(f"Mean of all  {quantity.show(mean.page)}")
    for line in lines:
        st.text(line)


def _show_table(board: Board, found: Sequence[CellNumbers]) -> None:
    table: dict[str, list[Any]] = {}
    for side, axis in board.sweep.axes().items():
        table[axis.label()] = [axis.value_label(getattr(cell, side)) for cell in found]
    drawn = {cell.place: said(cell.at.drawn) for cell in board.cells}
    if any(drawn.values()):
        table["Drawn"] = [drawn[cell.x, cell.y, cell.z] for cell in found]
    for quantity in QUANTITIES.values():
        table[f"{quantity.label}"] = [cell.value(quantity.name) for cell in found]
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        column_config={
            quantity.label: st.column_config.NumberColumn(
                format=f"%.{quantity.digits}f", help=quantity.note
            )
            for quantity in QUANTITIES.values()
        },
    )


def _values(axis: Axis | None) -> list[str]:
    return [axis.value_label(index) for index in range(len(axis.values))] if axis else [""]
