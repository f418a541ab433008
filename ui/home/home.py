"""The home page's parts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import streamlit as st

from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.runs.queue.jobs import Job
from core.runs.store.store import StoredImage
from core.sweeps.axes import AXES
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from ui.catalog import CATALOG, GALLERY, GENERATE, GLOSSARY, HOME, LESSONS, STEPS, SWEEP
from ui.clicks import note_click
from ui.grid.tiles import Tile, show_tiles
from ui.help import help_of
from ui.home.examples import COMPARE, LEARN, MAKE, Example
from ui.links import put_settings
from ui.runs.sweeps import LABEL, describe_sweep, recent_sweeps
from ui.runtime import Runtime, owner_id
from ui.send import send, send_sweep
from ui.settings.prompt import limits_of, show_vocabulary
from ui.sweep_link import key, put_sweep
from ui.views import ago, plain, show_empty

RECENT = 6
TILE = 140  # pixels: six in a row beside the sidebar of a laptop
OPENED = f"{HOME.prefix}:opened"
"""The digest of the picture whose tile was clicked."""

FIRST_SEED = 1
EXAMPLE = "a red apple on a blue background"
DOOR = 280  # pixels: one column on a phone
SMALL = 48  # pixels: four pictures beside each other in a door
LAST_SWEEPS = 3
MOST_WORDS = 80
LEARNING = (LESSONS, STEPS, GLOSSARY)

SWEEPS = {
    "guidance_scale": "One row of pictures that differ in how strongly the prompt pulls.",
    "num_inference_steps": "One row of pictures, from one denoising step to many.",
    "seed": "One row of pictures that differ in their noise alone.",
}
"""The sweeps that begin at a click, and what each shows."""


def show_intro() -> None:
    st.title("See what diffusion does", anchor=False)
    st.markdown(
        "A light table for Stable Diffusion: put pictures side by side to see what each setting "
        "does, and watch each of them being denoised. What is shown is exactly what the sampler "
        "did.",
        width=640,
    )


def show_start(runtime: Runtime) -> None:
    """A prompt, what the model can draw of it, and three doors: a picture, a sweep, a lesson."""
    model = runtime.model
    with st.container(border=True, gap="small"):
        prompt = st.text_input(
            "Prompt",
            key=f"{HOME.prefix}:prompt",
            placeholder=_example(runtime),
            label_visibility="collapsed",
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                "Generate", key=f"{HOME.prefix}:generate", type="primary", icon=GENERATE.icon
            ):
                _generate(prompt.strip() or _example(runtime))
            show_vocabulary(st.container(width="content"), model, prompt)
        if limits := limits_of(model):
            st.caption(plain(limits))
    prompt = prompt.strip() or _example(runtime)
    grid = st.grid(3, min_column_width=DOOR, gap="small")
    with grid.cell():
        _make()
    with grid.cell():
        _compare(runtime, prompt)
    with grid.cell():
        _learn()


def _made_by(runtime: Runtime, job: Job) -> StoredImage | None:
    """The first picture of a job that is stored."""
    digests = (cell.digest for cell in runtime.queue.cells(job.id) if cell.digest)
    return next((found for one in digests if (found := runtime.store.get(one))), None)


@contextmanager
def _door(title: str, icon: str, words: str, examples: Sequence[Example]) -> Generator[None]:
    """A card: its title, real pictures of the bundled model, what they are, and what to do."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.subheader(f"{icon} {title}", anchor=False)
        grid = st.grid(len(examples), min_column_width=SMALL, gap="xxsmall")
        for example in examples:
            with grid.cell():
                st.image(
                    example.path.read_bytes(),
                    width="stretch",
                    caption=example.caption,
                    output_format="PNG",
                    alt=f"{example.settings.prompt}: {example.caption}",
                )
        st.caption(words)
        with st.container(horizontal=True, gap="xsmall"):
            yield


def _make() -> None:
    with _door(
        "Make a picture",
        GENERATE.icon,
        "Type a prompt above, or begin with one of these: it is made while you watch.",
        MAKE,
    ):
        for example in MAKE:
            if st.button(
                example.caption,
                key=f"{HOME.prefix}:make:{example.name}",
                help=plain(example.settings.prompt),
            ):
                _generate(example.settings.prompt)


def _compare(runtime: Runtime, prompt: str) -> None:
    with _door(
        "Compare",
        SWEEP.icon,
        "One apple, one seed, four guidance scales. Vary a setting of the prompt above:",
        COMPARE,
    ):
        for name, words in SWEEPS.items():
            if st.button(
                SETTINGS[name].label,
                key=f"{HOME.prefix}:sweep:{name}",
                help=help_of(SETTINGS[name], words),
            ):
                _sweep(runtime, prompt, name)


def _learn() -> None:
    with _door(
        "Learn",
        LESSONS.icon,
        "What the model predicts after 1, 3, 6 and all 20 calls of one run. See why:",
        LEARN,
    ):
        for page in LEARNING:
            st.page_link(page.path, label=page.title, icon=page.icon)


def show_left_off(runtime: Runtime) -> None:
    """What this browser ran last: what still runs, and its last sweeps, each a click away."""
    jobs = runtime.queue.jobs(owner=owner_id(), limit=1)
    if not jobs:
        return
    st.subheader("Where you left off", anchor=False)
    job, sweeps = jobs[0], recent_sweeps(runtime, LAST_SWEEPS)
    if not job.is_over:
        cells = f"{job.done_cells} of {job.total_cells} pictures"
        st.caption(plain(f"Still running: {job.label.removeprefix(LABEL)} ({cells})"))
    with st.container(horizontal=True, gap="small"):
        image = None if job.is_sweep else _made_by(runtime, job)
        if image is not None and st.button(
            plain((image.settings.prompt or "(no prompt)")[:MOST_WORDS]),
            key=f"{HOME.prefix}:left:{job.id}",
            type="tertiary",
            icon=GENERATE.icon,
            help=f"Made {ago(image.created_at)}: opens its settings in Generate.",
        ):
            send(runtime, image, GENERATE)
        for job_id, when, sweep in sweeps:
            if st.button(
                plain(describe_sweep(sweep)[:MOST_WORDS]),
                key=f"{HOME.prefix}:left:{job_id}",
                type="tertiary",
                icon=SWEEP.icon,
                help=f"Run {ago(when)}",
            ):
                send_sweep(sweep)


def _example(runtime: Runtime) -> str:
    return next(iter(runtime.model.example_prompts), EXAMPLE)


def _generate(prompt: str) -> None:
    """Open Generate and make the picture there."""
    query = put_settings(GENERATE.prefix, {"prompt": prompt})
    note_click(GENERATE.prefix)
    st.switch_page(GENERATE.path, query_params=query)


def _sweep(runtime: Runtime, prompt: str, name: str) -> None:
    """Open Sweep and run one setting's example values there."""
    base = GenerationSettings(
        prompt=prompt,
        seed=FIRST_SEED,
        width=runtime.model.default_width,
        height=runtime.model.default_height,
        guidance_scale=runtime.model.default_guidance_scale,
        num_inference_steps=runtime.model.default_num_inference_steps,
        scheduler=runtime.model.default_scheduler,
    )
    sweep = Sweep(base=base, x=parse_axis(name, AXES[name].examples))
    note_click(SWEEP.prefix)
    st.switch_page(SWEEP.path, query_params=put_sweep(sweep) | {key("wide"): "true"})


def show_pages() -> None:
    """Every page and what it is for."""
    grid = st.grid(3, min_column_width=260, gap="small")
    for page in CATALOG:
        if page is HOME:
            continue
        with grid.cell(), st.container(border=True, height="stretch", gap="xxsmall"):
            st.page_link(page.path, label=f"**{page.title}**", icon=page.icon, width="stretch")
            st.caption(page.summary)


def show_recent(runtime: Runtime) -> None:
    """The newest pictures, each a click from the Gallery."""
    st.subheader("Latest pictures", anchor=False)
    images = runtime.store.search(limit=RECENT)
    if not images:
        show_empty(
            GENERATE.icon,
            "No pictures yet",
            "The bundled model is ready: a first picture takes a second or two.",
        )
        return
    opened = st.session_state.pop(OPENED, None)
    if opened is not None and (image := runtime.store.get(opened)) is not None:
        send(runtime, image, GALLERY)
    show_tiles(
        runtime.store,
        [Tile(image=image, caption=ago(image.created_at)) for image in images],
        key=f"{HOME.prefix}:tiles",
        name="Latest pictures",
        on_open=lambda digest: _note(OPENED, digest),
        size=TILE,
    )


def _note(name: str, value: str) -> None:
    st.session_state[name] = value


def show_machine(runtime: Runtime) -> None:
    """Which model is in memory, on what, and where the pictures are kept."""
    status = runtime.queue.worker_status()
    st.subheader("On this machine", anchor=False)
    grid = st.grid("auto", min_column_width=200, gap="small")
    grid.metric("Model", plain(status.model or "starting"))
    device = f"{status.device} · {status.dtype}" if status.device else "starting"
    grid.metric("Device", plain(device))
    grid.metric("Stored pictures", f"{runtime.store.count():,}")
    st.caption(f"Stored in {plain(str(runtime.store.folder))}")
