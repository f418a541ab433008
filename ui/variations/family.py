"""The family: the source's children as a sweep, in the Sweep's own grid, each a parent to be."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import streamlit as st

from core.diffusion.models.load import describe
from core.runs.queue.jobs import Job
from core.runs.store.store import StoredImage
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from ui.catalog import SWEEP, VARIATIONS
from ui.frame import safe
from ui.grid.board import Board, make_board
from ui.grid.grid import OPENED, develop, show_end, show_grid
from ui.grid.jobs import current_job
from ui.grid.plan import CLICK, plan_of, show_plan, submit
from ui.links import forget_problems
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runtime import Runtime
from ui.sweep.form import SweepForm, put_sweep
from ui.variations.form import PREFIX, family_form
from ui.variations.source import make_parent
from ui.views import picture_bytes, plain, show_picture

LONGEST_SIDE = 512
CHILD = f"{PREFIX}:child"
"""The place of the child that is open."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A source, what its children are to be, and where they stand."""

    source: StoredImage
    form: SweepForm
    plan: Plan
    job: Job | None


def prepare(runtime: Runtime, form: SweepForm) -> tuple[Plan, Job | None]:
    """The plan, submitted if its button was clicked, and the job that computes it."""
    plan = plan_of(runtime, form)
    if plan.problems or plan.to_compute:  # else the click is for evenly spaced frames
        submit(runtime, form, plan)
    return plan, current_job(runtime, plan)


def make_button(plan: Plan, job: Job | None, what: str, name: str) -> None:
    """ "Make 8 children": disabled where there is nothing to make, or it is being made."""
    is_running = job is not None and not job.is_over
    count = plan.to_compute
    is_ready = not plan.problems and count > 0 and not is_running
    st.button(
        f"Make {count} {what}" if count and not plan.problems else f"Make the {what}",
        key=f"{PREFIX}:make:{name}",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Ctrl+Enter",
        disabled=not is_ready,
        help=None if is_ready else "They are being made." if is_running else "All are stored.",
        width="stretch",
        on_click=note_make,
    )


def note_make() -> None:
    """A callback: the token of one click, as the Sweep's Run makes it."""
    st.session_state[CLICK] = uuid.uuid4().hex
    forget_problems(PREFIX)


def board_of(runtime: Runtime, form: SweepForm, plan: Plan, job: Job | None) -> Board:
    cells = runtime.queue.cells(job.id) if job else []
    return make_board(runtime.store, form.sweep, plan, job, cells)


def family_panel(runtime: Runtime, source: StoredImage) -> Family:
    """The form with its button; a click has submitted what is missing when this returns."""
    button = st.container()
    form = family_form(source, describe(source.settings.model).latent_channels)
    plan, job = prepare(runtime, form)
    with button:
        make_button(plan, job, "children", "family")
    return Family(source=source, form=form, plan=plan, job=job)


def show_family(runtime: Runtime, family: Family) -> None:
    """The plan in a line, the grid while it develops and after, and the child that is open."""
    source, form, plan = family.source, family.form, family.plan
    show_plan(form, plan)
    if plan.problems:
        return
    board = board_of(runtime, form, plan, family.job)
    if board.is_running:
        develop(runtime, board, with_grid=True)
    else:
        show_end(runtime, board)
        show_grid(runtime, board)
    if st.button(
        "Open as a sweep",
        key=f"{PREFIX}:as_sweep",
        type="tertiary",
        icon=SWEEP.icon,
        help="The same grid on the Sweep page: compare, numbers, take it home.",
    ):
        open_as_sweep(form.sweep)
    _open_child(runtime, source, board)


def open_as_sweep(sweep: Sweep) -> None:
    # Without a mapping Streamlit would clear the address, which what is bound to it forbids.
    st.switch_page(SWEEP.path, query_params=put_sweep(sweep))


def children(board: Board) -> list[tuple[float, int, str]]:
    """Strength, variation seed and digest of each finished child, in the board's order."""
    return [
        (cell.at.settings.variation_strength, cell.at.settings.variation_seed, cell.digest)
        for cell in board.done()
    ]


def _open_child(runtime: Runtime, source: StoredImage, board: Board) -> None:
    """The grid says what was clicked; from here on it is this page's, not the Sweep's."""
    if OPENED in st.session_state:
        st.session_state[CHILD] = st.session_state.pop(OPENED)
    place = st.session_state.get(CHILD)
    if place is None:
        return
    cell = board.cell_at(*place)
    image = runtime.store.get(cell.digest) if cell is not None and cell.state == "done" else None
    if cell is None or image is None:
        close_child()
        if cell is not None:
            st.toast("This child is not there yet.", icon=":material/hourglass_top:")
        return
    _child_dialog(runtime, source, image, board.values_of(cell))


@st.dialog("Child", width="large", icon=":material/image:", on_dismiss=lambda: close_child())
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
                help="It is the source itself." if is_same else "Go on from this child.",
            ):
                close_child()
                make_parent(image.digest)
                st.rerun()
            show_actions(runtime, image, VARIATIONS)
    with right:
        show_facts(image)
        show_settings(image)


def close_child() -> None:
    """Forgets which child is open."""
    st.session_state.pop(CHILD, None)
