"""The source's children as a sweep, in the Sweep's own grid, each a parent to be."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.diffusion.models.load import describe
from core.runs.queue.jobs import Job
from core.runs.store.store import StoredImage
from core.sweeps.plan import Plan
from ui.catalog import SWEEP, VARIATIONS
from ui.frame import safe
from ui.grid.board import Board, board_of
from ui.grid.grid import develop, show_end, show_grid
from ui.grid.plan import SweepForm, prepare, show_plan
from ui.grid.state import GridState
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runtime import Runtime
from ui.send import send_sweep
from ui.variations.form import PREFIX, children_form
from ui.variations.source import make_parent
from ui.views import picture_bytes, plain, show_picture

LONGEST_SIDE = 512
STATE = GridState(prefix=PREFIX)


@dataclass(frozen=True, kw_only=True)
class Children:
    """A source, what its children are to be, and where they stand."""

    source: StoredImage
    form: SweepForm
    plan: Plan
    job: Job | None

    def board(self, runtime: Runtime) -> Board:
        """The children as they are now; of a plan without problems."""
        return board_of(runtime, STATE, self.form.sweep, self.plan, self.job)


ONE = {"children": "child", "frames": "frame"}


def make_button(plan: Plan, job: Job | None, what: str, name: str) -> None:
    """ "Make 8 children": disabled where there is nothing to make, or it is being made."""
    is_running = job is not None and not job.is_over
    count = plan.to_compute
    is_ready = not plan.problems and count > 0 and not is_running
    words = ONE.get(what, what) if count == 1 else what
    st.button(
        f"Make {count} {words}" if count and not plan.problems else f"Make the {what}",
        key=f"{PREFIX}:make:{name}",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Ctrl+Enter",
        disabled=not is_ready,
        help=None if is_ready else "Running." if is_running else "All are stored.",
        width="stretch",
        on_click=STATE.note_click,
    )


def children_panel(runtime: Runtime, source: StoredImage) -> Children:
    """The form with its button; a click has submitted what is missing when this returns."""
    button = st.container()
    form = children_form(source, describe(source.settings.model).latent_channels)
    plan, job = prepare(runtime, STATE, form)
    with button:
        make_button(plan, job, "children", "children")
    return Children(source=source, form=form, plan=plan, job=job)


def show_children(runtime: Runtime, children: Children) -> None:
    """The plan in a line, the grid while it develops and after, and the child that is open."""
    source, form, plan = children.source, children.form, children.plan
    show_plan(form, plan)
    if plan.problems:
        return
    board = children.board(runtime)
    if board.is_running:
        develop(runtime, board, with_grid=True)
    else:
        show_end(runtime, board)
        show_grid(runtime, board)
    open_as_sweep(children)
    _open_child(runtime, source, board)


def open_as_sweep(children: Children) -> None:
    """A button that takes the same grid to the Sweep page."""
    if st.button(
        "Open as a sweep",
        key=f"{PREFIX}:as_sweep",
        type="tertiary",
        icon=SWEEP.icon,
        help="The same grid on the Sweep page: compare, numbers and export.",
    ):
        send_sweep(children.form.sweep)


def made_children(board: Board) -> list[tuple[float, int, str]]:
    """Strength, variation seed and digest of each finished child, in the board's order."""
    return [
        (cell.at.settings.variation_strength, cell.at.settings.variation_seed, cell.digest)
        for cell in board.done()
    ]


def _open_child(runtime: Runtime, source: StoredImage, board: Board) -> None:
    place = STATE.opened
    if place is None:
        return
    cell = board.cell_at(*place)
    image = runtime.store.get(cell.digest) if cell is not None and cell.state == "done" else None
    if cell is None or image is None:
        STATE.close()
        if cell is not None:
            st.toast("This child is not made yet.", icon=":material/hourglass_top:")
        return
    _child_dialog(runtime, source, image, board.values_of(cell))


@st.dialog("Child", width="large", icon=":material/image:", on_dismiss=STATE.close)
@safe
def _child_dialog(runtime: Runtime, source: StoredImage, image: StoredImage, title: str) -> None:
    st.markdown(f"**{plain(title)}**")
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        parent, child = st.columns(2, gap="small")
        for place, one, words in ((parent, source, "Parent"), (child, image, "Child")):
            with place:
                if (data := picture_bytes(runtime.store, one.digest)) is not None:
                    show_picture(data, one, longest=LONGEST_SIDE)
                st.caption(words)
        with st.container(horizontal=True, gap="small"):
            is_same = image.digest == source.digest
            if st.button(
                "Make parent",
                key=f"{PREFIX}:parent",
                type="primary",
                icon=":material/family_history:",
                disabled=is_same,
                help="It is the source itself." if is_same else "Continue from this child.",
            ):
                STATE.close()
                make_parent(image.digest)
                st.rerun()
            show_actions(runtime, image, VARIATIONS)
    with right:
        show_facts(image)
        show_settings(image)
