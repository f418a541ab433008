"""What is made of a source: one picture, a strip of strengths, grids; and what the VAE makes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelError, describe
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Job
from core.runs.store.store import StoredImage
from core.sweeps.drawn import said
from core.sweeps.plan import Plan
from ui.catalog import IMAGE_TO_IMAGE, SWEEP
from ui.effects.view import show_effects
from ui.grid.board import Board, board_of
from ui.grid.cell import show_opened
from ui.grid.compare import compare_pictures
from ui.grid.grid import develop, show_end, show_grid
from ui.grid.plan import SweepForm, prepare, show_plan
from ui.grid.state import GridState
from ui.img2img.form import (
    INVERSION,
    PREFIX,
    STATE,
    VIEWS,
    Form,
    grid_form,
    key,
    one_form,
    strip_form,
)
from ui.img2img.inversion import show_inversion
from ui.img2img.strip import noised_inputs, say_start, show_strip
from ui.links import BOUND
from ui.runs.media import served
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime
from ui.send import send_sweep
from ui.views import picture_bytes, plain

if TYPE_CHECKING:
    from core.diffusion.inside.round_trip import RoundTrip

ASKS = f"{PREFIX}:asks for a prompt"
SIDE = 112  # pixels on the screen: three stand side by side on a phone


def show_views(runtime: Runtime, form: Form, button: DeltaGenerator) -> None:
    """What goes in, then the chosen view of what comes out."""
    row = show_source(runtime, form)
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default=VIEWS[0],
        required=True,
        key=key("view"),
        label_visibility="collapsed",
        **BOUND,
    )
    if view == INVERSION:
        show_inversion(runtime, form, button)
        return
    state, make, show = _VIEWS.get(view or VIEWS[0], _VIEWS[VIEWS[0]])
    sweep_form = make(form)
    if STATE.is_clicked:
        form.keep(runtime)
    plan, job = prepare(runtime, state, sweep_form)
    is_blank = _needs_prompt(form)
    with button:
        _run_button(plan, job, is_blank=is_blank)
    if is_blank and st.session_state.get(ASKS):
        _ask_for_prompt()
    if plan.problems or view != VIEWS[0]:
        show_plan(sweep_form, plan, job)
    if plan.problems:
        return
    board = board_of(runtime, state, sweep_form.sweep, plan, job)
    if board.is_running:
        develop(runtime, board, with_grid=True)
    else:
        show_end(runtime, board)
        show(runtime, form, board, row)
    if view != VIEWS[0]:
        _open_as_sweep(runtime, form, sweep_form)
        show_opened(runtime, board, IMAGE_TO_IMAGE)


def show_source(runtime: Runtime, form: Form) -> DeltaGenerator:
    """Exactly what the VAE gets, and what it makes of it by itself: strength 0. Returns the row
    that they stand in.
    """
    source = form.source
    pictures: list[tuple[Image.Image | None, str]] = []
    if not source.is_latents:
        pictures.append((source.picture, f"What the VAE gets: {source.width} × {source.height}"))
    if form.mask.used is not None:
        pictures.append((form.mask.used, "The mask: white is inpainted"))
    row = st.container(horizontal=True, gap="small")
    with row:
        for picture, words in pictures:
            show_small(picture, words)
        place = st.container(width=SIDE, gap="xxsmall")
    try:
        describe(form.settings.model)
    except ModelError:
        return row  # the plan says it
    with place:
        trip: RoundTrip | None = await_task(
            runtime,
            request_of(
                "round trip",
                GenerationSettings(model=form.settings.model),
                source=runtime.tasks.keep_source(source.array),
            ),
        )
    if trip is not None:
        through_vae = "Encoded and decoded by the VAE"
        words = "Its own latents, decoded" if source.is_latents else through_vae
        with row:
            show_small(trip.picture, f"{words}: what strength 0 looks like")
    return row


def show_small(picture: Image.Image | None, words: str) -> None:
    """A picture of the row at the top, with what it is."""
    if picture is None:
        return
    with st.container(width=SIDE, gap="xxsmall"):
        st.image(picture, width="stretch", output_format="PNG", alt=words)
        st.caption(words)


def _needs_prompt(form: Form) -> bool:
    """Return whether nothing says what to make of the source. At strength 0 nothing need."""
    settings = form.settings
    says = settings.prompt + (settings.prompt_2 if settings.prompt_blend else "")
    is_blank = not says.strip() and settings.strength > 0
    if not is_blank:
        st.session_state.pop(ASKS, None)
    return is_blank


def _ask_for_prompt() -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            ":orange[:material/edit:] Write a prompt first: what should the picture become?",
            width="content",
        )
        st.button(
            "Run without a prompt",
            key=f"{PREFIX}:run blank",
            help="The noise is removed with nothing asked for, and guidance is without effect.",
            on_click=_note_click,
        )


def _run_button(plan: Plan, job: Job | None, *, is_blank: bool) -> None:
    is_running = job is not None and not job.is_over
    count = plan.to_compute
    is_ready = not plan.problems and count > 0 and not is_running
    why = "It is running." if is_running else "Already stored: see below."
    if plan.problems:
        why = "See what is wrong below."
    st.button(
        f"Run {count} pictures" if count > 1 else "Run",
        key=f"{PREFIX}:run",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Ctrl+Enter",
        disabled=not is_ready,
        help=None if is_ready else why,
        on_click=_ask if is_blank else _note_click,
    )


def _ask() -> None:
    st.session_state[ASKS] = True


def _note_click() -> None:
    st.session_state.pop(ASKS, None)
    STATE.settle_seed()
    STATE.note_click()


def _show_one(runtime: Runtime, form: Form, board: Board, row: DeltaGenerator) -> None:
    """Show before and after, with what the loop started from and everything that made it."""
    cell = board.cells[0]
    image = runtime.store.get(cell.digest) if cell.state == "done" else None
    begins = noised_inputs(runtime, form, [form.settings])
    if begins is not None:
        start = begins[0].start
        if start.num_executed_steps:
            with row:
                show_small(begins[0].picture, "What the loop starts from")
        say_start(form.settings, start)
    if image is None:
        if begins is not None and begins[0].start.num_executed_steps:
            st.info("Press Run: noise is added to the source and denoised with the prompt.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Before and after", width="stretch")
        show_actions(runtime, image, IMAGE_TO_IMAGE)
    data = picture_bytes(runtime.store, image.digest)
    if data is not None and form.mask.array is not None:
        _show_inpainted(form, data)
    if data is not None and form.source.picture is not None:
        before = _encoded(form.source.picture)
        compare_pictures(
            PREFIX,
            _looked_at(before, "Source", image.settings),
            _looked_at(data, f"Strength {form.settings.strength:g}", image.settings),
        )
    _below(image, cell.at.drawn)


def _show_inpainted(form: Form, data: bytes) -> None:
    """Show before, mask and after, side by side."""
    trio = (
        (form.source.picture, "Before"),
        (form.mask.used, "Mask"),
        (Image.open(io.BytesIO(data)), "After"),
    )
    grid = st.grid(3, min_column_width=96, gap="small")
    for picture, words in trio:
        with grid.cell():
            if picture is not None:
                st.image(picture, width="stretch", output_format="PNG", alt=words)
            st.caption(words)


def _below(image: StoredImage, drawn: Sequence[str]) -> None:
    if drawn:
        st.caption(plain(f"Drawn: {said(drawn)}"))
    show_facts(image)
    show_settings(image)


def _looked_at(data: bytes, label: str, settings: GenerationSettings) -> dict[str, Any]:
    name = hashlib.sha256(data).hexdigest()
    return {
        "src": served(data, f"{PREFIX}:look:{name}"),
        "label": label,
        "width": settings.width,
        "height": settings.height,
    }


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _show_strip(runtime: Runtime, form: Form, board: Board, row: DeltaGenerator) -> None:
    show_strip(runtime, form, board)


def _show_grid(runtime: Runtime, form: Form, board: Board, row: DeltaGenerator) -> None:
    look = st.segmented_control(
        "Look",
        ["Grid", "Effects"],
        default="Grid",
        required=True,
        key=board.state.name("look"),
        label_visibility="collapsed",
        persist_state="session",
    )
    if look == "Effects":
        show_effects(runtime, board)
    else:
        show_grid(runtime, board)


def _open_as_sweep(runtime: Runtime, form: Form, sweep_form: SweepForm) -> None:
    if st.button(
        "Open as a sweep",
        key=f"{PREFIX}:as_sweep",
        type="tertiary",
        icon=SWEEP.icon,
        help="The same grid on the Sweep page: flipbook, numbers and export.",
    ):
        form.keep(runtime)
        send_sweep(sweep_form.sweep)


_Show = Callable[[Runtime, Form, Board, DeltaGenerator], None]
_VIEWS: Mapping[str, tuple[GridState, Callable[[Form], SweepForm], _Show]] = {
    VIEWS[0]: (GridState(prefix=PREFIX, grid="one"), one_form, _show_one),
    VIEWS[1]: (GridState(prefix=PREFIX, grid="strip"), strip_form, _show_strip),
    VIEWS[2]: (GridState(prefix=PREFIX, grid="grids"), grid_form, _show_grid),
}
