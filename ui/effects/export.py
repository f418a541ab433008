"""Effects as files: tables, a page with the figures, and a paragraph for a paper."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from core.exports.effects.files import FILES, EffectsFile
from core.exports.effects.found import find_effects
from core.exports.effects.grid import MeasuredGrid
from core.output.effects.result import Effects
from core.output.effects.words import methods
from ui.grid.board import Board

PICTURES = ("SVG", "PNG")


def show_effects_export(board: Board, measured: MeasuredGrid, effects: Effects) -> None:
    """Files of every measure, or of the one in view; and how its numbers were come by."""
    is_all = st.toggle("Every measure, not only the one above", key=_name(board, "all"))
    with st.container(horizontal=True, gap="small"):
        for row in FILES.values():
            st.download_button(
                row.label,
                partial(_write, row, measured, None if is_all else effects),
                file_name=f"effects{row.suffix}",
                mime=row.mime,
                key=_name(board, f"file:{row.suffix}:{is_all}"),
                icon=":material/download:",
                help=row.help,
                on_click="ignore",
            )
    st.segmented_control(
        "The camera above a figure saves it as",
        PICTURES,
        default=PICTURES[0],
        required=True,
        key=_name(board, "picture"),
        persist_state="session",
    )
    st.caption("Methods, for a paper")
    st.code(methods(effects), language=None, wrap_lines=True)


def figure_config(board: Board) -> dict[str, Any]:
    """Plotly's settings of a figure: as what its camera saves it."""
    chosen = str(st.session_state.get(_name(board, "picture")) or PICTURES[0])
    options = {
        "format": chosen.lower(),
        "filename": "effects",
        "scale": 2 if chosen == "PNG" else 1,
    }
    return {"toImageButtonOptions": options, "displaylogo": False}


def _write(row: EffectsFile, measured: MeasuredGrid, effects: Effects | None) -> bytes:
    return row.write(effects or find_effects(measured))


def _name(board: Board, what: str) -> str:
    return board.state.name(f"effects:{what}")
