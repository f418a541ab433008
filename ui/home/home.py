"""The home page's parts."""

from __future__ import annotations

import streamlit as st

from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.sweeps.axes import AXES
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from ui.catalog import CATALOG, GALLERY, GENERATE, HOME, SWEEP
from ui.clicks import note_click
from ui.grid.tiles import Tile, show_tiles
from ui.links import put_settings
from ui.runtime import Runtime
from ui.send import send
from ui.sweep_link import key, put_sweep
from ui.views import ago, plain, show_empty

RECENT = 6
TILE = 140  # pixels: six in a row beside the sidebar of a laptop
OPENED = f"{HOME.prefix}:opened"
"""The digest of the picture whose tile was clicked."""

FIRST_SEED = 1
EXAMPLE = "a red apple on a blue background"
MOST_EXAMPLES = 4
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
    """A prompt and what to do with it: one picture, or one of three sweeps, at a click."""
    with st.container(border=True, gap="small"):
        prompt = st.text_input(
            "Prompt",
            key=f"{HOME.prefix}:prompt",
            placeholder=_example(runtime),
            label_visibility="collapsed",
        )
        prompt = prompt.strip() or _example(runtime)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                "Generate", key=f"{HOME.prefix}:generate", type="primary", icon=GENERATE.icon
            ):
                _generate(prompt)
            st.caption("or sweep:", width="content")
            for name, words in SWEEPS.items():
                if st.button(
                    SETTINGS[name].label,
                    key=f"{HOME.prefix}:sweep:{name}",
                    icon=SWEEP.icon,
                    help=words,
                ):
                    _sweep(runtime, prompt, name)
        if len(runtime.model.example_prompts) > 1:
            st.caption(plain(f"{runtime.model.name} draws: " + _subjects(runtime)))


def _example(runtime: Runtime) -> str:
    return next(iter(runtime.model.example_prompts), EXAMPLE)


def _subjects(runtime: Runtime) -> str:
    return " · ".join(runtime.model.example_prompts[:MOST_EXAMPLES])


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
