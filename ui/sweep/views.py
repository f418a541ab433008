"""What is done with a sweep's cells: the table of views, and the run's progress above them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.recipe.settings_table import label_of
from core.sweeps.axis import SIDES, SweepError, parse_axis, row_of
from core.sweeps.sweep import Sweep
from ui.catalog import SWEEP
from ui.effects.more import open_refine
from ui.effects.view import show_effects
from ui.grid.board import Board
from ui.grid.cell import show_opened
from ui.grid.compare import show_compare, show_flipbook
from ui.grid.export import show_export
from ui.grid.grid import SIZES, develop, show_end, show_grid
from ui.grid.numbers import show_numbers
from ui.grid.rated import ANY, FIELD, RATINGS, choose_rated
from ui.links import BOUND, Parameter
from ui.preferences.view import show_blind
from ui.runtime import Runtime
from ui.sweep.form import PREFIX, STATE, TITLES
from ui.sweep.layout import FOLD, is_wide, label, make_wide
from ui.sweep.pictures import in_words
from ui.sweep.prompt import what_to_look_for
from ui.sweep_link import NOTHING, axis_label, key, put_sweep
from ui.views import plain, show_empty


@dataclass(frozen=True, kw_only=True)
class View:
    """One way of looking at a sweep."""

    title: str
    show: Callable[[Runtime, Board], None]


def _show_effects(runtime: Runtime, board: Board) -> None:
    show_effects(runtime, board, extend=_extend)


def _extend(sweep: Sweep) -> None:
    """Set the page to the sweep with more seeds, and run it: a callback."""
    put_sweep(sweep)
    STATE.note_click()


GRID = View(title="Grid", show=show_grid)
EFFECTS = View(title="Effects", show=_show_effects)
VIEWS = (
    GRID,
    View(title="Compare", show=show_compare),
    View(title="Flipbook", show=show_flipbook),
    View(title="Numbers", show=show_numbers),
    EFFECTS,
    View(title="Blind test", show=show_blind),
    View(title="Export", show=show_export),
)


def looks() -> tuple[Parameter, ...]:
    """What the address may say of how the sweep is looked at."""
    switch = ("true", "false")
    return (
        Parameter(field="view", kind="choice", choices=tuple(view.title for view in VIEWS)),
        Parameter(field="size", kind="choice", choices=tuple(SIZES)),
        Parameter(field="captions", kind="choice", choices=switch),
        Parameter(field=FIELD, kind="choice", choices=(ANY, *RATINGS)),
        Parameter(field="wide", kind="choice", choices=switch),
    )


def places() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Return where the grid and the controls go: side by side, or folded above a grid that takes
    the whole width.
    """
    if not is_wide():
        stage, panel = st.columns([0.68, 0.32], gap="medium")
        return stage, panel.container(border=True)
    panel = st.expander(label(summary()), key=FOLD, icon=":material/tune:", on_change="rerun")
    return st.container(), panel


def summary() -> str:
    """What varies, in one line: the label of the folded controls."""
    said = [
        f"**{TITLES[side]}** {plain(f'{axis_label(name)} {_values(name, values)}')}"
        for side in SIDES
        if (name := st.session_state.get(key(side), NOTHING)) != NOTHING
        and (values := st.session_state.get(key(f"{side}_values"), "")) is not None
    ]
    return " · ".join(said) or "What varies, and the base settings"


def _values(name: str, text: str) -> str:
    """The values as they were typed; of a table of settings which they are, of pictures what they
    are called.
    """
    if name != "settings":
        return in_words(name, text)
    try:
        axis = parse_axis(name, text)
    except SweepError:
        return text
    settings = ", ".join(map(label_of, row_of(axis).changes(axis.values)))
    return f"({len(axis.values)}): {settings}"


def show_views(runtime: Runtime, board: Board) -> None:
    """The chosen view; while the job runs its progress stands above, and the grid moves."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        view = _choose()
        show_looks(board.sweep, has_size=view is GRID)
        if view is GRID and board.done() and not board.is_running:
            st.button(
                "Refine",
                key=f"{PREFIX}:to_refine",
                icon=":material/grid_goldenratio:",
                help="Add values where pictures differ most, or seeds: in Effects.",
                on_click=_to_refine,
            )
    if board.is_running:
        develop(runtime, board, with_grid=view is GRID)
    else:
        show_end(runtime, board)
    if not (board.is_running and view is GRID):
        view.show(runtime, board)
    is_drawn = any(cell.at.drawn for cell in board.cells)  # then words differ too
    if view is GRID and board.done() and not is_drawn and (words := what_to_look_for(board.sweep)):
        st.caption(words)
    show_opened(runtime, board, SWEEP)


def _choose() -> View:
    titles = [view.title for view in VIEWS]
    chosen = st.segmented_control(
        "View",
        titles,
        default=GRID.title,
        required=True,
        key=key("view"),
        label_visibility="collapsed",
        **BOUND,
    )
    return next((view for view in VIEWS if view.title == chosen), GRID)


def show_waiting() -> None:
    show_empty(
        ":material/grid_on:",
        "No picture yet",
        "Choose a preset above; or choose what varies, and press Run.",
    )


def show_looks(sweep: Sweep, *, has_size: bool) -> None:
    """How the grid looks: its size, captions, room, and which axis lies where."""
    if has_size:
        st.segmented_control(
            "Cell size",
            list(SIZES),
            default="Fit",
            required=True,
            key=key("size"),
            label_visibility="collapsed",
            **BOUND,
        )
    with st.popover("View", icon=":material/visibility:"):
        st.toggle("Values under each cell", key=key("captions"), **BOUND)
        choose_rated(PREFIX)
        st.button(
            "Controls beside the grid" if is_wide() else "Grid over the whole width",
            key=f"{PREFIX}:layout",
            icon=":material/dock_to_left:" if is_wide() else ":material/fit_width:",
            on_click=make_wide,
            args=(not is_wide(),),
        )
        if sweep.x or sweep.y:
            st.button(
                "Swap columns and rows",
                key=f"{PREFIX}:swap_axes",
                icon=":material/swap_horiz:",
                help="Nothing is computed again.",
                on_click=_swap,
                args=(sweep,),
            )


def _to_refine() -> None:
    st.session_state[key("view")] = EFFECTS.title
    open_refine(STATE)


def _swap(sweep: Sweep) -> None:
    put_sweep(sweep.swapped())
