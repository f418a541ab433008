"""One cell of the grid, opened: the picture, what made it, and where it can go."""

from __future__ import annotations

import streamlit as st

from core.output.texts.legend import settings_lines
from core.runs.store.store import StoredImage
from ui.catalog import GENERATE, LATENTS, SWEEP
from ui.frame import safe
from ui.grid.board import Board, BoardCell
from ui.grid.compare import PICK
from ui.grid.grid import OPENED, REFERENCE
from ui.grid.numbers import show_numbers_of
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runs.run_sweeps import lay_over
from ui.runtime import Runtime
from ui.send import send
from ui.sweep.form import PREFIX
from ui.views import picture_bytes, plain, show_error, show_picture

LONGEST_SIDE = 512


def show_opened(runtime: Runtime, board: Board) -> None:
    """The dialog of the cell that was clicked, if one was."""
    place = st.session_state.get(OPENED)
    if place is None:
        return
    cell = board.cell_at(*place)
    if cell is None:
        _close()
        return
    image = runtime.store.get(cell.digest) if cell.state == "done" else None
    _dialog(runtime, board, cell, image)


@st.dialog("Cell", width="large", icon=":material/image:", on_dismiss=lambda: _close())
@safe
def _dialog(runtime: Runtime, board: Board, cell: BoardCell, image: StoredImage | None) -> None:
    st.markdown(f"**{plain(board.values_of(cell))}**")
    if cell.twin is not None:
        twin = plain(board.values_of(board.cells[cell.twin]))
        st.caption(f"The same image by arithmetic as {twin}: computed once.")
    if image is None:
        _show_unfinished(runtime, board, cell)
        return
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        if (data := picture_bytes(runtime.store, image.digest)) is not None:
            show_picture(data, image, longest=LONGEST_SIDE)
        with st.container(horizontal=True, gap="small"):
            _show_buttons(runtime, board, cell, image)
    with right:
        show_facts(image)
        show_numbers_of(runtime.store, board, cell)
        st.caption(f"{plain(image.settings.scheduler)} · {_kept(runtime, image)}")
        show_settings(image)


def _show_buttons(runtime: Runtime, board: Board, cell: BoardCell, image: StoredImage) -> None:
    if st.button("Open in Generate", key=f"{PREFIX}:generate", icon=GENERATE.icon):
        _close()
        send(runtime, image, GENERATE)
    if st.button(
        "Use as reference",
        key=f"{PREFIX}:refer",
        icon=":material/flag:",
        help="The cell that Numbers measures the others against.",
    ):
        _pick(REFERENCE, cell.digest)
    for side, name in PICK.items():
        if st.button(
            f"Compare as {side}",
            key=f"{PREFIX}:compare:{side}",
            icon=":material/compare:",
        ):
            _pick(name, cell.index)
    done = list(dict.fromkeys(one.digest for one in board.done()))
    if len(done) > 1 and st.button(
        "Latents of all cells",
        key=f"{PREFIX}:latents",
        icon=LATENTS.icon,
        help="What happened in every finished cell, in curves laid over each other.",
    ):
        _close()
        st.switch_page(LATENTS.path, query_params=lay_over(runtime, LATENTS.prefix, done))
    show_actions(runtime, image, SWEEP)


def _show_unfinished(runtime: Runtime, board: Board, cell: BoardCell) -> None:
    if cell.state == "failed":
        show_error("This cell failed", cell.reason, "Retry failed runs it again.")
    elif cell.state in ("running", "pending"):
        st.info("This cell is still developing. It opens when it is finished.")
    else:
        why = "was deleted" if cell.is_deleted else "has not been computed"
        st.info(f"This cell {why}. Run computes what is missing.")
    with st.expander("Its settings"):
        lines = settings_lines(cell.at.settings)
        st.table(
            {"Setting": [name for name, _ in lines], "Value": [plain(text) for _, text in lines]},
            hide_index=True,
        )


def _kept(runtime: Runtime, image: StoredImage) -> str:
    """What of its steps is stored: the film of a grid needs the latents."""
    if runtime.store.holds([image.digest], "latents"):
        return "latents of every step kept"
    return "numbers of every step kept" if image.has_trajectory else "no step recorded"


def _pick(name: str, value: object) -> None:
    st.session_state[name] = value
    _close()
    st.rerun()


def _close() -> None:
    st.session_state.pop(OPENED, None)
