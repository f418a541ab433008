"""The stage of the Generate page: a picture developing, finished, or still to come."""

from __future__ import annotations

import base64
import io
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from PIL import Image

from core.diffusion.models.load import describe
from core.diffusion.named_files import digest_of, named_files
from core.diffusion.settings import GenerationSettings, SettingsError
from core.runs.queue.queue import Cell, Job
from core.runs.store.store import StoredImage
from core.sweeps.drawn import draw_batch, draw_prompts, said, words_of_picture
from ui.catalog import GENERATE
from ui.clicks import click
from ui.generate.stopped import LONGEST_SIDE, show_stopped_cells
from ui.grid.tiles import Tile, show_tiles
from ui.progress import Progress, follow
from ui.runs.progress import progress_text, say_if_stuck, share_of
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runs.sweeps import is_sweep
from ui.runtime import Runtime, owner_id
from ui.settings.controls import LAST_SEED, MADE, Form, key
from ui.views import (
    ago,
    display_width,
    picture_bytes,
    plain,
    show_empty,
    show_error,
    show_picture,
)

RECENT_SECONDS = 15 * 60
LOOK_BACK = 8  # jobs of this browser, past the sweeps among them

JOB = f"{GENERATE.prefix}:job"


def submit(runtime: Runtime, form: Form) -> None:
    """Queue what the form says, if Generate was clicked.

    Raises SettingsError, StoreError or ModelError.
    """
    with click(GENERATE.prefix) as token:
        if token is None:
            return
        info = describe(form.settings.model)
        drawn = draw_batch(form.batch(), runtime.marks(), vae_scale_factor=info.vae_scale_factor)
        batch = [one.settings for one in drawn]
        named_files(batch[0], info)  # says which is not here, or does not fit
        job_id = _queue(runtime, batch, token)
        st.session_state[LAST_SEED] = batch[0].seed
        if cells := runtime.queue.cells(job_id):
            st.session_state[LAST_SEED] = cells[0].settings.seed


def _queue(runtime: Runtime, batch: Sequence[GenerationSettings], token: str) -> str:
    """Queue one job, which the stage then shows; returns its id."""
    label = f"{GENERATE.title}: {batch[0].prompt}"[:80]
    job_id = runtime.queue.submit(batch, owner=owner_id(), token=token, label=label, watched=True)
    st.session_state[JOB] = job_id
    return job_id


def show_stage(runtime: Runtime, form: Form) -> None:
    """What was asked for last; else the stored picture of these very settings; else a hint."""
    job = _current_job(runtime, form)
    if job is not None and not job.is_over:
        _develop(runtime, job.id)
    elif job is not None:
        _show_finished(runtime, form, job)
    elif (stored := _stored(runtime, form)) is not None:
        if LAST_SEED not in st.session_state:
            st.session_state[LAST_SEED] = stored.settings.seed
            st.rerun()  # "Reuse" was drawn before it
        _show_result(runtime, form, stored)
    else:
        show_empty(
            GENERATE.icon,
            "No picture yet",
            "Enter a prompt above, or choose an example, and press Generate.",
        )


def _current_job(runtime: Runtime, form: Form) -> Job | None:
    """The session's job; after a reload this browser's, if it runs or made what the form says."""
    if JOB in st.session_state:
        known: str | None = st.session_state[JOB]  # None: put aside, a picture was sent here
        return runtime.queue.job(known) if known else None
    for job in runtime.queue.jobs(owner=owner_id(), limit=LOOK_BACK):
        if is_sweep(job):
            continue
        cells = runtime.queue.cells(job.id)
        if not cells:
            continue
        first = cells[0].settings
        is_recent = time.time() - (job.finished_at or 0) < RECENT_SECONDS
        is_asked = _is_asked(runtime, form, first)
        if not job.is_over or (is_recent and is_asked):
            st.session_state[JOB] = job.id
            st.session_state[LAST_SEED] = first.seed
            return job
        break  # an older picture is not what was asked for last
    return None


def _is_asked(runtime: Runtime, form: Form, made: GenerationSettings) -> bool:
    """Whether the form says what made a picture, with its seed or a random one."""
    if form.settings.seed not in (made.seed, -1):
        return False
    try:
        asked = draw_prompts(replace(form.settings, seed=made.seed), runtime.marks())
    except SettingsError:
        return False
    return asked.settings == made


def _stored(runtime: Runtime, form: Form) -> StoredImage | None:
    """The picture of the form's settings; where their seed is random, that of the seed which the
    address says was drawn.
    """
    settings, drawn = form.settings, st.query_params.get(key(MADE.field), "")
    if settings.seed == -1 and not MADE.problem(drawn):
        settings = replace(settings, seed=int(drawn))
    if settings.seed < 0 or form.count > 1:
        return None
    try:
        asked = draw_prompts(settings, runtime.marks()).settings
    except SettingsError:
        return None  # which is said below the prompt
    return runtime.store.get(digest_of(asked, describe(asked.model).fingerprint))


def _develop(runtime: Runtime, job_id: str) -> None:
    """The live view; its clock stops with the job, when the page is drawn without it."""

    def look() -> Progress | None:
        runtime.queue.watch(job_id)
        job = runtime.queue.job(job_id)
        if job is None or job.is_over:
            return None
        cells = runtime.queue.cells(job_id)

        def below() -> None:
            say_if_stuck(runtime, job)
            _show_cells(runtime, job, cells)

        return Progress(share=share_of(job), words=progress_text(job, cells), below=below)

    follow(look, key=f"stop:{job_id}", stop=lambda: runtime.queue.cancel(job_id))


def _show_cells(runtime: Runtime, job: Job, cells: Sequence[Cell]) -> None:
    if len(cells) == 1:
        with st.container(horizontal_alignment="center"):
            _show_cell(runtime, job, cells[0], alone=True)
        return
    grid = st.grid("auto", min_column_width=140, gap="small")
    for cell in cells:
        with grid.cell():
            _show_cell(runtime, job, cell, alone=False)


def _show_cell(runtime: Runtime, job: Job, cell: Cell, *, alone: bool) -> None:
    """A picture, its newest preview, or grey where nothing has begun."""
    settings = cell.settings
    shown: bytes | str | None = None
    if cell.state == "done" and cell.digest:
        shown = picture_bytes(runtime.store, cell.digest)
    elif cell.state == "running" and (preview := runtime.queue.preview(job.id, cell.position)):
        shown = _inline(preview)
    width = display_width(settings.width, settings.height, LONGEST_SIDE) if alone else "stretch"
    st.image(
        shown or _grey(settings.width, settings.height),
        width=width,
        output_format="PNG",
        alt=f"Seed {settings.seed}, step {cell.step} of {cell.total_steps}",
    )
    if not alone:
        st.caption(f"{settings.seed}")


def _inline(png: bytes) -> str:
    """A small picture as an address of its own: a served file is gone with the next preview,
    before a slow browser has fetched it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@st.cache_data(show_spinner=False, max_entries=64)
def _grey(width: int, height: int) -> str:
    """What a latent of zeros looks like: the place of a picture that has not begun."""
    buffer = io.BytesIO()
    Image.new("RGB", (max(1, width // 8), max(1, height // 8)), (118, 116, 113)).save(buffer, "PNG")
    return _inline(buffer.getvalue())


def _show_finished(runtime: Runtime, form: Form, job: Job) -> None:
    cells = runtime.queue.cells(job.id)
    done = [cell for cell in cells if cell.state == "done" and cell.digest]
    failed = [cell for cell in cells if cell.state == "failed"]
    if failed:
        reasons = dict.fromkeys(cell.reason for cell in failed)
        noun = "The picture" if len(cells) == 1 else f"{len(failed)} of {len(cells)} pictures"
        show_error(f"{noun} could not be made", " ".join(reasons))
        st.button(
            "Try again",
            key=f"retry:{job.id}",
            icon=":material/refresh:",
            on_click=runtime.queue.retry_failed,
            args=(job.id,),
        )
    if job.state == "cancelled":
        what = "No picture was finished"
        if done:
            what = f"{len(done)} of {len(cells)} pictures were finished"
        st.info(f"{what}.", title="Stopped", icon=":material/stop_circle:")
        show_stopped_cells(runtime, job, cells)
        st.button(
            "Run again",
            key=f"again:{job.id}",
            icon=":material/refresh:",
            help="From the first step, with the same settings.",
            on_click=_run_again,
            args=(runtime, [cell.settings for cell in cells if cell.state == "cancelled"]),
        )
    images = {cell.digest: runtime.store.get(cell.digest or "") for cell in done}
    kept = [image for image in images.values() if image is not None]
    if len(kept) < len(done):
        st.info("A picture has been deleted. Press Generate to make it again.")
    if kept and len(cells) == 1:
        _note_seed(cells[0].settings)
    if kept:
        chosen = kept[0] if len(kept) == 1 else _pick(runtime, form, job, kept)
        _show_result(runtime, form, chosen)


def _run_again(runtime: Runtime, batch: Sequence[GenerationSettings]) -> None:
    _queue(runtime, batch, uuid.uuid4().hex)


def _note_seed(settings: GenerationSettings) -> None:
    """Where the form's seed is random, let the address say which was drawn."""
    if st.session_state.get(key("seed")) == -1:
        st.query_params[key(MADE.field)] = str(settings.seed)
    elif key(MADE.field) in st.query_params:
        del st.query_params[key(MADE.field)]


def _pick(runtime: Runtime, form: Form, job: Job, images: Sequence[StoredImage]) -> StoredImage:
    """The batch side by side; a click on a picture, or its seed below, shows its details."""
    by_digest = {image.digest: image for image in images}
    by_seed = {image.settings.seed: image for image in images}
    key = f"pick:{job.id}"
    show_tiles(
        runtime.store,
        [Tile(image=image, caption=_caption(runtime, form, image)) for image in images],
        key=f"tiles:{job.id}",
        name="Pictures of this run",
        on_open=lambda digest: _choose(key, by_digest[digest].settings.seed),
    )
    seed = st.pills(
        "Details of seed",
        list(by_seed),
        default=images[0].settings.seed,
        required=True,
        key=key,
    )
    return by_seed.get(seed, images[0])


def _caption(runtime: Runtime, form: Form, image: StoredImage) -> str:
    words = words_of_picture(form.settings, image.settings, runtime.marks())
    return " · ".join([str(image.settings.seed), *([said(words)] if words else [])])


def _choose(key: str, seed: int) -> None:
    st.session_state[key] = seed


def _show_result(runtime: Runtime, form: Form, image: StoredImage) -> None:
    """The row above the picture is as high as the progress was: the picture does not jump."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Made {ago(image.created_at)}", width="stretch")
        show_actions(runtime, image, GENERATE)
    data = picture_bytes(runtime.store, image.digest)
    if data is not None:
        with st.container(horizontal_alignment="center"):
            show_picture(data, image, longest=LONGEST_SIDE)
    if words := words_of_picture(form.settings, image.settings, runtime.marks()):
        st.caption(plain(f"Drawn: {said(words)}"))
    show_facts(image)
    show_settings(image)
