"""What is done with a source: the table of views, its panel and its stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from core.runs.store.store import StoredImage
from core.sweeps.sweep import Sweep
from ui.effects.more import MORE
from ui.effects.view import show_effects
from ui.grid.grid import develop
from ui.grid.plan import show_plan
from ui.links import BOUND
from ui.runtime import Runtime
from ui.variations.children import STATE, Children, children_panel, open_as_sweep, show_children
from ui.variations.form import MOST_CHILDREN, VIEWS, key
from ui.variations.numbers import show_distances, show_noise
from ui.variations.source import show_parent, show_tree
from ui.variations.walk import show_walk, walk_form


def _show_tree(runtime: Runtime, children: Children) -> None:
    show_tree(runtime, children.source)


def _show_effects(runtime: Runtime, children: Children) -> None:
    if children.plan.problems:
        show_plan(children.form, children.plan)
        return
    board = children.board(runtime)
    if board.is_running:
        develop(runtime, board, with_grid=False)
    seeds = len(board.sweep.y.values) if board.sweep.y else 0
    can_extend = 0 < seeds <= MOST_CHILDREN - MORE
    show_effects(runtime, board, extend=_extend if can_extend else None, refines=False)
    open_as_sweep(children)


def _extend(sweep: Sweep) -> None:
    """Set the number of children, whose seeds go on from the last, and make them: a callback."""
    if sweep.y is not None:
        st.session_state[key("children")] = len(sweep.y.values)
        STATE.note_click()


OF_CHILDREN: Mapping[str, Callable[[Runtime, Children], None]] = {
    "Children": show_children,
    "Distances": show_distances,
    "Effects": _show_effects,
    "Noise": show_noise,
    "Tree": _show_tree,
}
"""The views that share the panel of the children; the walk has its own."""


def show_views(runtime: Runtime, source: StoredImage) -> None:
    """The chosen view on the stage, the source and the controls in the panel."""
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default=VIEWS[0],
        required=True,
        key=key("view"),
        label_visibility="collapsed",
        **BOUND,
    )
    stage, panel = st.columns([0.68, 0.32], gap="medium")
    show = OF_CHILDREN.get(view or VIEWS[0])
    if show is None:
        with panel.container(border=True):
            show_parent(runtime, source)
            button = st.container()
            walk = walk_form(source)
        with stage:
            show_walk(runtime, walk, button)
        return
    with panel.container(border=True):
        show_parent(runtime, source)
        children = children_panel(runtime, source)
    with stage:
        show(runtime, children)
