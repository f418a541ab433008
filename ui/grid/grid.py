"""The grid of a sweep, while it develops and after; a click opens a cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import streamlit as st

from core.runs.queue.jobs import Job, StoppedCell
from core.runs.store.opinions.ratings import Rating
from core.sweeps.axis import Axis
from core.sweeps.drawn import said
from core.sweeps.sweep import Sweep
from ui.frame import POLL_SECONDS, SLOW_POLL_SECONDS
from ui.grid.board import Board, BoardCell, make_board
from ui.grid.component import mount_grid
from ui.grid.rated import FIELD, RATINGS
from ui.grid.state import GridState
from ui.progress import Progress, follow
from ui.runs.media import LOOK_AT, inline, served, smaller
from ui.runs.progress import progress_text, say_if_stuck, share_of
from ui.runs.stopped import show_stopped, words_of
from ui.runtime import Runtime, owner_id
from ui.views import plain, show_error

FEW_CELLS = 100
MANY_PAGES = 10
SIZES = {"Fit": 0, "Small": 72, "Medium": 128, "Large": 256, "Full": 512}


def show_grid(runtime: Runtime, board: Board) -> None:
    """The grid as it is now."""
    z, job = choose_page(board), board.job
    if job is None or job.state != "cancelled":
        _draw(runtime, board, z, {})
        return
    addresses: dict[str, str] = {}
    show_stopped(runtime, job, lambda found: _draw(runtime, board, z, addresses, found))


def develop(runtime: Runtime, board: Board, *, with_grid: bool) -> None:
    """Progress and, with it, the grid: drawn again and again in place while the job runs."""
    job = board.job
    if job is None:
        return
    z = choose_page(board) if with_grid else 0
    addresses: dict[str, str] = {}

    def look() -> Progress | None:
        if with_grid:
            runtime.queue.watch(job.id)
        now = runtime.queue.job(job.id)
        if now is None or now.is_over or board.state.take_clicked():
            return None  # the page is drawn without the clock, or with the opened cell
        cells = runtime.queue.cells(job.id)

        def below() -> None:
            say_if_stuck(runtime, now)
            if with_grid:
                current = make_board(
                    runtime.store, board.state, board.sweep, board.plan, now, cells
                )
                _draw(runtime, current, z, addresses)

        return Progress(share=share_of(now), words=progress_text(now, cells), below=below)

    follow(
        look,
        key=board.state.name("stop"),
        stop=(lambda: runtime.queue.cancel(job.id)) if job.owner == owner_id() else None,
        every=POLL_SECONDS if len(board.page(z)) <= FEW_CELLS else SLOW_POLL_SECONDS,
    )


def choose_page(board: Board) -> int:
    """The page to look at, counted from 0; nothing is drawn where there is only one."""
    axis = board.sweep.z
    if axis is None or len(axis.values) < 2:
        return 0
    count = len(axis.values)
    name = board.state.name("page")
    if st.session_state.get(name, 0) >= count:
        st.session_state[name] = 0
    label, options = axis.label(), list(range(count))
    if count > MANY_PAGES:
        chosen = st.selectbox(
            label, options, format_func=axis.value_label, key=name, persist_state="session"
        )
    else:
        chosen = st.segmented_control(
            label,
            options,
            default=0,
            required=True,
            format_func=lambda index: plain(axis.value_label(index)),
            key=name,
            persist_state="session",
        )
    return int(chosen or 0)


def show_end(runtime: Runtime, board: Board) -> None:
    """How the last run ended, where that needs words."""
    failed = [cell for cell in board.cells if cell.state == "failed"]
    if failed and board.job is not None:
        reasons = dict.fromkeys(cell.reason for cell in failed)
        show_error(f"{len(failed)} of {len(board.cells)} cells failed", " ".join(reasons))
        st.button(
            "Retry failed",
            key=board.state.name("retry"),
            icon=":material/refresh:",
            on_click=_retry,
            args=(runtime, board.job),
        )
    elif board.job is not None and board.job.state == "cancelled" and board.plan.to_compute:
        done = len(board.done())
        st.info(
            f"{done} of {len(board.cells)} cells are finished; those that had begun are shown as "
            "they were. Resume computes only the others.",
            title="Stopped",
            icon=":material/stop_circle:",
        )


def _retry(runtime: Runtime, job: Job) -> None:
    runtime.queue.retry_failed(job.id)


def _draw(
    runtime: Runtime,
    board: Board,
    z: int,
    addresses: dict[str, str],
    stopped: Mapping[int, StoppedCell] = MappingProxyType({}),
) -> None:
    """Mounts the grid of page `z`. `addresses` remembers what is served already; `stopped` is what
    cancelled cells had come to, by their position in the job.
    """
    state, cells = board.state, board.page(z)
    size = SIZES.get(str(state.look("size") or "Fit"), 0)
    key = state.name("grid")
    repeated = board.repeated_reasons()
    ratings = runtime.ratings.of_all(cell.digest for cell in cells if cell.state == "done")
    rated = RATINGS.get(str(state.look(FIELD)))
    mount_grid(
        key=key,
        data={
            "name": _name(board.sweep),
            "x": _labels(board.sweep.x),
            "y": _labels(board.sweep.y),
            "cells": [
                _view(runtime, board, cell, size, addresses, repeated, stopped, ratings)
                | {"pale": rated is not None and _is_pale(cell, ratings, rated)}
                for cell in cells
            ],
            "size": size,
            "captions": bool(state.look("captions")),
        },
        on_opened_change=lambda: _open(state, key),
    )


def _is_pale(cell: BoardCell, ratings: Mapping[str, Rating], rated: str) -> bool:
    """Whether its picture is not of the rating that is looked for."""
    is_done = cell.state == "done"
    return is_done and not ratings.get(cell.digest, Rating()).is_among(rated)


def _open(state: GridState, key: str) -> None:
    opened: Any = st.session_state[key].opened
    if isinstance(opened, list) and len(opened) == 3:
        column, row, page = opened
        state.open((column, row, page))


def _name(sweep: Sweep) -> str:
    return " by ".join(axis.label() for axis in sweep.axes().values())


def _labels(axis: Axis | None) -> dict[str, Any] | None:
    if axis is None:
        return None
    values = [axis.value_label(index) for index in range(len(axis.values))]
    return {"label": axis.label(), "values": values}


def _view(
    runtime: Runtime,
    board: Board,
    cell: BoardCell,
    size: int,
    addresses: dict[str, str],
    repeated: Collection[str],
    stopped: Mapping[int, StoppedCell],
    ratings: Mapping[str, Rating],
) -> dict[str, Any]:
    """What the browser is told of a cell. A reason that several share stands above the grid."""
    settings, values = cell.at.settings, board.values_of(cell)
    failed = "Failed" if cell.reason in repeated else f"Failed: {cell.reason}"
    words = {"failed": failed, "cancelled": "Stopped", "missing": "–"}.get(cell.state, "")
    src = _address(runtime, board, cell, size, addresses)
    if cell.state == "cancelled" and cell.job_cell and cell.job_cell.position in stopped:
        one = stopped[cell.job_cell.position]
        words, src = words_of(one), _stopped_address(board, cell, one, addresses)
    if cell.is_deleted:
        words = cell.reason.capitalize()
    marks: list[str] = []
    if cell.twin is not None:
        marks.append(f"= {_short(board, board.cells[cell.twin])}")
    if board.state.reference == cell.digest:
        marks.append("Reference")
    if rating := str(ratings.get(cell.digest, "")):
        marks.append(rating)
    return {
        "at": [cell.at.x, cell.at.y, cell.at.z],
        "state": cell.state,
        "src": src,
        "width": settings.width,
        "height": settings.height,
        "progress": cell.progress,
        "words": words,
        "marks": marks,
        "caption": _caption(board, cell),
        "title": "\n".join(one for one in (values, said(cell.at.drawn), words) if one),
        "alt": f"{values}: {cell.state}",
    }


def _address(
    runtime: Runtime, board: Board, cell: BoardCell, size: int, addresses: dict[str, str]
) -> str | None:
    if cell.state == "done":
        if cell.digest not in addresses:
            data = smaller(runtime.store, cell.digest, LOOK_AT * (size or 256))
            if data is None:
                return None
            addresses[cell.digest] = served(data, board.state.name(f"cell:{cell.digest}"))
        return addresses[cell.digest]
    if cell.state == "running" and board.job is not None and cell.job_cell is not None:
        preview = runtime.queue.preview(board.job.id, cell.job_cell.position)
        return inline(preview) if preview else None
    return None


def _stopped_address(
    board: Board, cell: BoardCell, stopped: StoppedCell, addresses: dict[str, str]
) -> str:
    name = board.state.name(f"stopped:{cell.digest}")
    if name not in addresses:
        addresses[name] = served(stopped.png, name)
    return addresses[name]


def _caption(board: Board, cell: BoardCell) -> str:
    """The values without their names, which the labels say, and the words that were drawn."""
    places = {"x": cell.at.x, "y": cell.at.y}
    sides = board.sweep.axes().items()
    values = [axis.value_label(places[side]) for side, axis in sides if side in places]
    return " · ".join([*values, *([said(cell.at.drawn)] if cell.at.drawn else [])])


def _short(board: Board, cell: BoardCell) -> str:
    places = {"x": cell.at.x, "y": cell.at.y, "z": cell.at.z}
    sides = board.sweep.axes().items()
    return ", ".join(axis.value_label(places[side]) for side, axis in sides)
