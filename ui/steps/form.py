"""The controls of the Step by step page: the prompt, its settings, and which part is shown."""

from __future__ import annotations

import secrets

import streamlit as st

from core.diffusion.models.load import ModelInfo, list_models
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import MAX_GUIDANCE, MAX_SEED, MAX_STEPS, GenerationSettings
from core.output.figures.guidance_parts import CHOICES
from ui.catalog import STEPS
from ui.links import BOUND, Parameter, settings_parameters
from ui.settings.controls import default_values, key, settings_form
from ui.settings.prompt import PromptPlaces

PREFIX = STEPS.prefix
SEED = 3
THE_RUN, FUTURE, ATTENTION, BROKEN = "The run", "Changed run", "Attention", "Mistakes"
VIEWS = (THE_RUN, FUTURE, ATTENTION, BROKEN)


def parameters() -> tuple[Parameter, ...]:
    """Everything in the address of this page; calls are counted from 1."""
    settings = settings_parameters(list_models(), tuple(SCHEDULERS))
    return (
        *(one for one in settings if one.field != "count"),
        Parameter(field="view", kind="choice", choices=VIEWS),
        Parameter(field="call", kind="int", low=1, high=2 * MAX_STEPS),
        Parameter(field="scale", kind="float", low=0, high=2 * MAX_GUIDANCE),
        Parameter(field="parts", kind="choice", choices=tuple(CHOICES)),
        Parameter(field="from", kind="int", low=1, high=2 * MAX_STEPS),
        Parameter(field="to", kind="int", low=1, high=2 * MAX_STEPS),
        Parameter(field="replacement", kind="text"),
        Parameter(field="other_prompt", kind="text"),
        Parameter(field="other_guidance", kind="float", low=0, high=MAX_GUIDANCE),
        Parameter(field="other_scheduler", kind="choice", choices=tuple(SCHEDULERS)),
    )


def defaults(model: ModelInfo) -> dict[str, object]:
    """What each control shows before anyone touched it."""
    values = default_values(model) | {"seed": SEED}
    del values["count"]
    return values


def prompt_box(model: ModelInfo) -> tuple[GenerationSettings, PromptPlaces]:
    """The prompt and the settings; returns them, and the places for `count_tokens`."""
    _draw_seed()
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            model.example_prompts[0] if model.example_prompts else "",
            key=key("prompt", PREFIX),
            height=76,
            placeholder="Describe the picture, then press Ctrl+Enter",
            label_visibility="collapsed",
            **BOUND,
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.popover("Settings", icon=":material/tune:", width="content"):
                form = settings_form(model, PREFIX, seed=SEED, has_count=False)
            if model.example_prompts:
                st.menu_button(
                    "Examples",
                    model.example_prompts,
                    key="steps:example",
                    icon=":material/lightbulb:",
                    on_click=_use_example,
                )
            st.caption(summary(form.settings), width="content")
            line = st.container(width="content")
        places = PromptPlaces(line=line, below=st.container())
    if form.settings.seed == -1:
        st.rerun()  # as after a click on "Random seed": a page that shows one run needs one seed
    return form.settings, places


def summary(settings: GenerationSettings) -> str:
    """The settings that matter most, in a line."""
    return (
        f"Seed {settings.seed} · {settings.num_inference_steps} steps of {settings.scheduler} · "
        f"guidance {settings.guidance_scale:g} · {settings.width} × {settings.height}"
    )


def choose_view() -> str:
    """Which part of the page is shown."""
    chosen = st.segmented_control(
        "View",
        VIEWS,
        default=THE_RUN,
        required=True,
        key=key("view", PREFIX),
        label_visibility="collapsed",
        **BOUND,
    )
    return chosen if chosen in VIEWS else THE_RUN


def _draw_seed() -> None:
    """-1 asks for a seed: it is drawn before the control is."""
    name = key("seed", PREFIX)
    asked = st.session_state.get(name, st.query_params.get(name))
    if str(asked) == "-1":
        st.session_state[name] = secrets.randbelow(MAX_SEED + 1)


def _use_example() -> None:
    st.session_state[key("prompt", PREFIX)] = st.session_state["steps:example"]
