"""Stopped pictures on the Generate page: what each had come to, with its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.runs.queue.jobs import Cell, Job, StoppedCell
from ui.runs.stopped import download_stopped, show_stopped, words_of
from ui.runtime import Runtime
from ui.views import display_width

LONGEST_SIDE = 512  # pixels on the screen


def show_stopped_cells(runtime: Runtime, job: Job, cells: Sequence[Cell]) -> None:
    """What the pictures on their way had come to; none of them is in the gallery."""
    left = [cell for cell in cells if cell.state == "cancelled"]

    def draw(found: Mapping[int, StoppedCell]) -> None:
        shown = [(cell, found[cell.position]) for cell in left if cell.position in found]
        grid = st.grid("auto", min_column_width=200, gap="small") if len(shown) > 1 else None
        for cell, stopped in shown:
            with grid.cell() if grid else st.container(horizontal_alignment="center"):
                _show_one_stopped(job, cell, stopped)

    show_stopped(runtime, job, draw)


def _show_one_stopped(job: Job, cell: Cell, stopped: StoppedCell) -> None:
    settings, words = cell.settings, words_of(stopped)
    st.image(
        stopped.png,
        width=display_width(settings.width, settings.height, LONGEST_SIDE),
        output_format="PNG",
        alt=f"{words}, seed {settings.seed}",
    )
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.caption(f"{words} · predicted x0", width="content")
        download_stopped(stopped, settings.seed, key=f"stopped:{job.id}:{cell.position}")
