"""The prompt of a sweep, the presets, and the Run button."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelInfo
from core.runs.queue.jobs import Job
from core.sweeps.axis import parse_axis
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from ui.settings.prompt import PromptPlaces
from ui.sweep.form import PREFIX, STATE, put_axes
from ui.sweep.layout import make_wide
from ui.sweep_link import key


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One click from a result: which parameter goes along which side, and what to look for."""

    title: str
    icon: str
    axes: dict[str, str]
    look_for: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """Side -> its values, where they are not the axis' examples."""


PRESETS = (
    Preset(
        title="Guidance",
        icon=":material/explore:",
        axes={"x": "guidance_scale"},
        look_for="As the scale grows, more pixels are clipped at 0 or 255: look at edges "
        "and flat colours.",
    ),
    Preset(
        title="Steps",
        icon=":material/footprint:",
        axes={"x": "num_inference_steps"},
        look_for="From some number on, more steps hardly change the picture: find where, and "
        "what changes last.",
    ),
    Preset(
        title="Seeds",
        icon=":material/casino:",
        axes={"x": "seed"},
        look_for="Only the noise at the start differs: what stays the same is due to the prompt.",
    ),
    Preset(
        title="Guidance × Steps",
        icon=":material/grid_on:",
        axes={"x": "guidance_scale", "y": "num_inference_steps"},
        look_for="A high scale needs more steps: compare the last column at few steps and at many.",
    ),
    Preset(
        title="Guidance methods",
        icon=":material/call_split:",
        axes={"x": "guidance_method"},
        look_for="APG clips fewer pixels than CFG, and CFG-Zero* stays near CFG: look at edges and "
        "flat colours.",
    ),
    Preset(
        title="Guidance interval",
        icon=":material/align_horizontal_left:",
        axes={"x": "guidance_end", "y": "guidance_start"},
        look_for="Without guidance in the first steps the picture changes more than without it in "
        "the last: compare down a column and along a row.",
    ),
    Preset(
        title="Scheduler × Steps",
        icon=":material/timeline:",
        axes={"x": "num_inference_steps", "y": "scheduler"},
        look_for="With few steps the schedulers differ most; with many they come closer to "
        "one picture.",
    ),
    Preset(
        title="Convergence",
        icon=":material/show_chart:",
        axes={"x": "num_inference_steps", "y": "scheduler"},
        look_for="How many steps are enough: Numbers measures each picture against the most steps "
        "of its row.",
        values={"x": "5, 10, 20, 40, 80, 200", "y": "Euler, Heun, DPM++ 2M, Euler a"},
    ),
    Preset(
        title="Prompt words",
        icon=":material/match_word:",
        axes={"x": "prompt_search_replace", "y": "seed"},
        look_for="The noise of a row is the same in every column: what changes is due to the word.",
    ),
)


def prompt_box(model: ModelInfo) -> tuple[DeltaGenerator, PromptPlaces]:
    """The prompt and the presets; returns the places of the Run button and for `count_tokens`."""
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            key=key("prompt"),
            height=76,
            placeholder="Describe the picture, or choose one of the presets below",
            label_visibility="collapsed",
            bind="query-params",
            persist_state="session",
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            run = st.container(width="content")
            line = st.container(width="content")
        below = st.container()
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption("Presets:", width="content")
            for preset in PRESETS:
                st.button(
                    preset.title,
                    key=f"{PREFIX}:preset:{preset.title}",
                    icon=preset.icon,
                    type="tertiary",
                    on_click=_use_preset,
                    args=(model, preset),
                )
    return run, PromptPlaces(line=line, below=below)


def what_to_look_for(sweep: Sweep) -> str:
    """What a preset says of the sweep that it sets; empty for a sweep of no preset."""
    varies = {side: axis.name for side, axis in sweep.axes().items()}
    axes = sweep.axes()
    fitting = [
        preset
        for preset in PRESETS
        if preset.axes == varies
        and all(
            parse_axis(varies[side], values).values == axes[side].values
            for side, values in preset.values.items()
        )
    ]
    return max(fitting, key=lambda preset: len(preset.values)).look_for if fitting else ""


def run_button(place: DeltaGenerator, plan: Plan, job: Job | None) -> None:
    """Its words say how many cells it will compute.

    With nothing to compute it can be pressed all the same: Ctrl+Enter may bring text that was
    typed just before, and a button that is disabled at that moment would not take it.
    """
    is_running = job is not None and not job.is_over
    is_resumed = job is not None and job.state == "cancelled" and plan.to_compute > 0
    words = "Resume" if is_resumed else "Run"
    if plan.to_compute and not is_running:
        words += f" {plan.to_compute} cell{'s' if plan.to_compute > 1 else ''}"
    place.button(
        words,
        key=f"{PREFIX}:run",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Ctrl+Enter",
        disabled=bool(plan.problems),
        help="See what is wrong below." if plan.problems else None,
        on_click=_note_click,
    )


def _note_click() -> None:
    make_wide()
    STATE.settle_seed()
    STATE.note_click()


def _use_preset(model: ModelInfo, preset: Preset) -> None:
    put_axes(model, preset.axes, preset.values)
    _note_click()
