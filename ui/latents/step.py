"""One step of the run in view: the slider, the pictures of its latents, and the linked cursor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import ModelError, describe
from core.diffusion.trajectory import StepRecord, Trajectory
from core.output.figures.latent_pictures import (
    StepLatents,
    change_map,
    enlarged_png,
    heat_map,
    spans,
    step_latents,
)
from core.output.figures.step_figure_rows import ALONG
from core.output.figures.step_runs import Run
from core.runs.store.store import StoredImage
from ui.frame import safe
from ui.latents.figures import FIGURES
from ui.latents.form import PREFIX, RUN, STEP, Look, default_step
from ui.runs.media import inline
from ui.runs.recording import needs_tensors
from ui.runtime import Runtime

CURSOR = f"{PREFIX}:cursor"
PICKED = f"{PREFIX}:picked"
STAGE = f"{PREFIX}-stage"
"""The key of the step's container: it stays in view where the window has room for it."""

CHANNELS_OF = f"{PREFIX}:channels_of"
PREDICTED = "Predicted x0"
LONGEST = 192  # pixels of a picture's file
SMALLEST = 64  # and on the screen
_FOLDER = Path(__file__).parents[1] / "components"

_cursor = component(
    "lightbox_cursor",
    html='<div class="cursor"></div>',
    js=(_FOLDER / "cursor.js").read_text(encoding="utf-8"),
)


def show_step(runtime: Runtime, runs: Sequence[Run], look: Look, image: StoredImage) -> None:
    """Run alone when the slider moves: the figures stay, only their cursor is told."""

    @st.fragment
    @safe
    def panel() -> None:
        if st.session_state.pop(PICKED, False):
            st.rerun()  # another run is in view
        run = runs[look.focus]
        left, right = st.columns([0.36, 0.64], gap="medium", vertical_alignment="center")
        with left:
            step = _choose(len(run.records))
            record = run.records[step - 1]
            st.caption(_words(record, run))
            _cursor(
                key=CURSOR,
                data={
                    "figures": f"st-key-{FIGURES}",
                    "stage": f"st-key-{STAGE}",
                    "x": ALONG[look.along].place(record),
                    "run": look.focus,
                    "step": step,
                },
                on_picked_change=lambda: _pick(runs),
                height="content",
            )
        with right:
            trajectory = needs_tensors(runtime, image)
            if trajectory is not None:
                _show_pictures(trajectory, image, step)

    panel()


def _choose(steps: int) -> int:
    """The step, from 1. One beyond the end (another run had more) becomes the last."""
    if steps == 1:
        return 1
    if STEP in st.session_state:
        st.session_state[STEP] = min(max(1, int(st.session_state[STEP])), steps)
    return st.slider(
        "Step",
        1,
        steps,
        default_step(steps),
        key=STEP,
        bind="query-params",
        persist_state="session",
    )


def _words(record: StepRecord, run: Run) -> str:
    return (
        f"Step {record.step_index + 1} of {len(run.records)} · timestep {record.timestep:.4g} · "
        f"sigma {record.sigma:.3g} · log-SNR {record.log_snr:.2f}"
    )


def _pick(runs: Sequence[Run]) -> None:
    """A click on a point of a figure: its step, and its run comes into view."""
    picked: Any = st.session_state[CURSOR].picked
    if not isinstance(picked, dict):
        return
    run, step = picked.get("run"), picked.get("step")
    if isinstance(run, int) and isinstance(step, int) and 0 <= run < len(runs):
        st.session_state[STEP] = min(max(1, step), len(runs[run].records))
        if st.session_state.get(RUN) != runs[run].digest:
            st.session_state[RUN] = runs[run].digest
            st.session_state[PICKED] = True


def _show_pictures(trajectory: Trajectory, image: StoredImage, step: int) -> None:
    now = step_latents(trajectory, image.settings, step - 1)
    try:
        info = describe(image.settings.model)
    except ModelError:
        st.caption(
            "The model of this picture is not on this machine: its latents are shown as "
            "numbers only."
        )
        rgb = None
    else:
        rgb = preview_rgb(now.x, info), preview_rgb(now.x0, info)
    of_x0 = st.session_state.get(CHANNELS_OF) == PREDICTED
    limits = spans(trajectory, image.settings)
    values, limit = (now.x0, limits[1]) if of_x0 else (now.x, limits[0])
    grid = st.grid(len(values) + (3 if rgb else 0), min_column_width=SMALLEST, gap="xsmall")
    if rgb is not None:
        _show_rgb(grid, now, *rgb)
    for index, channel in enumerate(values):
        with grid.cell():
            _picture(heat_map(channel, limit), f"{index + 1}", f"Channel {index + 1}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Channels of", width="content")
        st.segmented_control(
            "Channels of",
            ["x", PREDICTED],
            default="x",
            required=True,
            key=CHANNELS_OF,
            persist_state="session",
            label_visibility="collapsed",
        )
        st.caption(
            f"Blue −{limit:.2g}, white 0, red +{limit:.2g}: the same at every step of the run.",
            width="content",
        )


def _show_rgb(grid: Any, now: StepLatents, x: np.ndarray, x0: np.ndarray) -> None:
    """x_t, the predicted x0, and where that has changed since the step before."""
    with grid.cell():
        _picture(x, "x, with its noise")
    with grid.cell():
        _picture(x0, PREDICTED)
    with grid.cell():
        if now.change is None:
            st.caption("The first prediction: nothing has changed yet.")
        else:
            pixels, largest = change_map(now.change)
            _picture(pixels, f"Its change, up to {largest:.2g}")


def _picture(pixels: np.ndarray, caption: str, alt: str = "") -> None:
    """Return the picture's address, one of its own: the file of a moving slider is gone before
    it is fetched.
    """
    st.image(
        inline(enlarged_png(pixels, LONGEST)),
        caption=caption,
        width="stretch",
        output_format="PNG",
        alt=alt or caption,
    )
