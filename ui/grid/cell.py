"""One cell of the grid, opened: the picture, what made it, and where it can go."""

from __future__ import annotations

import streamlit as st

from core.output.texts.legend import settings_lines
from core.runs.queue.jobs import StoppedCell
from core.runs.store.store import StoredImage
from core.sweeps.drawn import said
from ui.catalog import GENERATE, LATENTS, Page
from ui.frame import safe
from ui.grid.board import Board, BoardCell
from ui.grid.numbers import show_numbers_of
from ui.grid.state import SIDES, GridState
from ui.runs.rating import show_rating
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runs.stopped import download_stopped, words_of
from ui.runtime import Runtime
from ui.send import send, send_runs
from ui.views import picture_bytes, plain, show_error, show_picture

LONGEST_SIDE = 512


def show_opened(runtime: Runtime, board: Board, here: Page) -> None:
    """The dialog of the cell that was clicked, if one was, on the page `here`."""
    if _opened(board) is None:
        board.state.close()
        return
    # The decorator is given the state of this grid, which is known only now.
    dialog = st.dialog(
        "Cell", width="large", icon=":material/image:", on_dismiss=board.state.close
    )(_dialog)
    dialog(runtime, board, here)


def _opened(board: Board) -> BoardCell | None:
    place = board.state.opened
    return None if place is None else board.cell_at(*place)


@safe
def _dialog(runtime: Runtime, board: Board, here: Page) -> None:
    """Turning to another cell draws this alone, not the grid behind it."""
    if (cell := _opened(board)) is None:
        return
    image = runtime.store.get(cell.digest) if cell.state == "done" else None
    st.markdown(f"**{plain(board.values_of(cell))}**")
    if cell.at.drawn:
        st.caption(plain(f"Drawn: {said(cell.at.drawn)}"))
    if cell.twin is not None:
        twin = plain(board.values_of(board.cells[cell.twin]))
        st.caption(f"These settings give the same image as {twin}: computed once.")
    if image is None:
        _show_unfinished(runtime, board, cell)
        _show_turns(board, cell)
        return
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        if (data := picture_bytes(runtime.store, image.digest)) is not None:
            show_picture(data, image, longest=LONGEST_SIDE)
        show_rating(runtime, image.digest, board.state.name("rating"))
        _show_turns(board, cell)
        with st.container(horizontal=True, gap="small"):
            _show_buttons(runtime, board, cell, image, here)
    with right:
        show_facts(image)
        show_numbers_of(runtime.store, board, cell)
        st.caption(f"{plain(image.settings.scheduler)} · {_kept(runtime, image)}")
        show_settings(image)


def _show_turns(board: Board, cell: BoardCell) -> None:
    """The cell before and the one after, in reading order on the same page, by keys too."""
    page = board.page(cell.at.z)
    here = page.index(cell)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        for label, key, index in (("Previous", "Left", here - 1), ("Next", "Right", here + 1)):
            inside = 0 <= index < len(page)
            at = page[index].at if inside else cell.at
            st.button(
                label,
                key=board.state.name(label.lower()),
                shortcut=key,
                disabled=not inside,
                on_click=board.state.turn_to,
                args=((at.x, at.y, at.z),),
            )


def _show_buttons(
    runtime: Runtime, board: Board, cell: BoardCell, image: StoredImage, here: Page
) -> None:
    state = board.state
    if st.button("Open in Generate", key=state.name("generate"), icon=GENERATE.icon):
        state.close()
        send(runtime, image, GENERATE)
    if st.button(
        "Use as reference",
        key=state.name("refer"),
        icon=":material/flag:",
        help="The cell that Numbers measures the others against.",
    ):
        state.refer_to(cell.digest)
        _draw_anew(state)
    for side in SIDES:
        if st.button(
            f"Compare as {side}",
            key=state.name(f"compare:{side}"),
            icon=":material/compare:",
        ):
            state.pick(side, cell.index)
            _draw_anew(state)
    done = list(dict.fromkeys(one.digest for one in board.done()))
    if len(done) > 1 and st.button(
        "Latents of all cells",
        key=state.name("latents"),
        icon=LATENTS.icon,
        help="The curves of every finished cell in one figure.",
    ):
        state.close()
        send_runs(runtime, done)
    show_actions(runtime, image, here)


def _show_unfinished(runtime: Runtime, board: Board, cell: BoardCell) -> None:
    if cell.state == "failed":
        show_error("This cell failed", cell.reason, "Retry failed runs it again.")
    elif cell.state == "cancelled" and (stopped := _stopped(runtime, board, cell)) is not None:
        st.image(stopped.png, output_format="PNG", alt=words_of(stopped))
        st.caption(f"{words_of(stopped)} · predicted x0. Resume computes it from its first step.")
        download_stopped(stopped, cell.at.settings.seed, key=board.state.name("stopped"))
    elif cell.state in ("running", "pending"):
        st.info("This cell is still being computed. It opens when it is finished.")
    else:
        why = "was deleted" if cell.is_deleted else "has not been computed"
        st.info(f"This cell {why}. Run computes what is missing.")
    with st.expander("Its settings", key=board.state.name("its settings")):
        lines = settings_lines(cell.at.settings)
        st.table(
            {"Setting": [name for name, _ in lines], "Value": [plain(text) for _, text in lines]},
            hide_index=True,
        )


def _stopped(runtime: Runtime, board: Board, cell: BoardCell) -> StoppedCell | None:
    if board.job is None or cell.job_cell is None:
        return None
    return runtime.queue.stopped(board.job.id).get(cell.job_cell.position)


def _kept(runtime: Runtime, image: StoredImage) -> str:
    """What of its steps is stored: the film of a grid needs the latents."""
    if runtime.store.holds([image.digest], "latents"):
        return "latents of every step kept"
    return "numbers of every step kept" if image.has_trajectory else "no step recorded"


def _draw_anew(state: GridState) -> None:
    state.close()
    st.rerun()
