"""Compare: any two cells against each other; Flipbook: one picture in place, a slider per axis."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from core.diffusion.settings import MAX_SIDE, GenerationSettings
from core.runs.store.store import StoredImage
from ui.grid.board import Board, BoardCell
from ui.runs.media import served, smaller
from ui.runtime import Runtime
from ui.views import FIELD_NAMES, plain

LONGEST_SIDE = 1024
FLIPBOOK_LIMIT = 1000
NO_EFFECT = "(no effect)"
_FOLDER = Path(__file__).parents[1] / "components"


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_compare = component(
    "lightbox_compare",
    html=_text("compare.html"),
    css=_text("slider.css") + _text("looking.css"),
    js=_text("compare.js"),
)
_flipbook = component(
    "lightbox_flipbook",
    html=_text("flipbook.html"),
    css=_text("slider.css") + _text("looking.css"),
    js=_text("flipbook.js"),
)


def show_compare(runtime: Runtime, board: Board) -> None:
    """Two cells to choose, the settings in which they differ, and the pictures."""
    done = {cell.index: cell for cell in board.done()}
    if len(done) < 2:
        st.info("Comparing needs two finished cells.")
        return
    left, right = st.columns(2, gap="small")
    with left:
        a = _choose(board, done, "A", 0)
    with right:
        b = _choose(board, done, "B", -1)
    _show_differences(done[a].at.settings, done[b].at.settings)
    # The stored pixels: a difference of pictures made smaller would not be theirs.
    one, two = (_picture(runtime, board, done[index], MAX_SIDE) for index in (a, b))
    if one["src"] and two["src"]:
        _compare(key=board.state.name("ab"), data={"a": one, "b": two})
    else:
        st.info("One of the two pictures cannot be read. Run computes it again.")


def show_flipbook(runtime: Runtime, board: Board, *, closes: bool = False) -> None:
    """All cells of the sweep in one place, played along the first axis; one that `closes` goes on
    from its last value to its first.
    """
    if len(board.cells) > FLIPBOOK_LIMIT:
        st.info(f"The flipbook holds up to {FLIPBOOK_LIMIT:,} cells. Remove some values.")
        return
    axes = [
        {
            "label": axis.label(),
            "values": [axis.value_label(index) for index in range(len(axis.values))],
        }
        for axis in board.sweep.axes().values()
    ]
    cells = [_picture(runtime, board, cell) for cell in board.cells]
    _flipbook(key=board.state.name("flip"), data={"axes": axes, "cells": cells, "closes": closes})


def compare_pictures(name: str, a: dict[str, Any], b: dict[str, Any]) -> None:
    """Any two pictures with a slider between them; each has src, label, width and height."""
    _compare(key=f"{name}:ab", data={"a": a, "b": b})


def compare_images(runtime: Runtime, name: str, a: StoredImage, b: StoredImage) -> None:
    """Any two stored pictures: the settings in which they differ, and a slider between them."""
    _show_differences(a.settings, b.settings)
    one, two = (_stored(runtime, name, image) for image in (a, b))
    if one["src"] and two["src"]:
        compare_pictures(name, one, two)
    else:
        st.info("One of the two pictures cannot be read.")


def _stored(runtime: Runtime, name: str, image: StoredImage) -> dict[str, Any]:
    data = smaller(runtime.store, image.digest, MAX_SIDE)
    return {
        "src": served(data, f"{name}:look:{image.digest}") if data else None,
        "label": image.settings.prompt or "(no prompt)",
        "width": image.settings.width,
        "height": image.settings.height,
    }


def differing(a: GenerationSettings, b: GenerationSettings) -> dict[str, tuple[str, str]]:
    """Label -> both values, of the settings that differ and have an effect in at least one."""
    one, two = asdict(a), asdict(b)
    return {
        FIELD_NAMES.get(name, name.capitalize()): (
            str(one[name]) if a.matters(name) else NO_EFFECT,
            str(two[name]) if b.matters(name) else NO_EFFECT,
        )
        for name in one
        if one[name] != two[name] and (a.matters(name) or b.matters(name))
    }


def _choose(board: Board, done: dict[int, BoardCell], side: str, default: int) -> int:
    indices = list(done)
    if board.state.picked(side) not in done:
        board.state.pick(side, indices[default])
    chosen = st.selectbox(
        side,
        indices,
        key=board.state.pick_name(side),
        format_func=lambda index: board.values_of(board.cells[index]),
        persist_state="session",
    )
    return int(chosen)


def _show_differences(a: GenerationSettings, b: GenerationSettings) -> None:
    rows = differing(a, b)
    if not rows:
        st.caption("The same settings.")
        return
    st.table(
        {
            "Differs in": [plain(name) for name in rows],
            "A": [plain(one) or "(empty)" for one, _ in rows.values()],
            "B": [plain(two) or "(empty)" for _, two in rows.values()],
        },
        hide_index=True,
    )


def _picture(
    runtime: Runtime, board: Board, cell: BoardCell, longest: int = LONGEST_SIDE
) -> dict[str, Any]:
    data = smaller(runtime.store, cell.digest, longest) if cell.state == "done" else None
    settings = cell.at.settings
    place = board.state.name(f"look:{longest}:{cell.digest}")
    return {
        "src": served(data, place) if data else None,
        "label": board.values_of(cell),
        "width": settings.width,
        "height": settings.height,
    }
