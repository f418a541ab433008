"""Widgets -> image-to-image settings; every one but the picture itself is in the address."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelInfo, list_models
from core.diffusion.recipe.images import input_digest
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.sweeps.axes import AXES
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep, SweepProblem
from core.sweeps.values import ParsedValues, ValuesError, read_values
from ui.catalog import IMAGE_TO_IMAGE
from ui.grid.plan import SweepForm
from ui.grid.state import GridState
from ui.img2img.mask import KINDS as SHAPE_KINDS
from ui.img2img.mask import MOST_SHAPES, WAYS, Mask, mask_form
from ui.img2img.samples import SAMPLES
from ui.img2img.source import FITS, KINDS, STARTS, Source, choose_source
from ui.links import BOUND, Parameter, settings_parameters, source_parameters
from ui.runtime import Runtime
from ui.settings.controls import default_values, settings_form
from ui.settings.model_picker import chosen_model
from ui.settings.prompt import PromptPlaces
from ui.settings.source_controls import hold_source, strength_controls
from ui.views import plain

PREFIX = IMAGE_TO_IMAGE.prefix
INVERSION = "Inversion"
VIEWS = ("One picture", "Strength strip", "Grids", INVERSION)
LOOKS = ("Pictures", "Compare", "Distances")
CROSSINGS = ("guidance_scale", "num_inference_steps", "seed")
FIRST_SEED = 1
STATE = GridState(prefix=PREFIX)
STRIP = "0.1-1 [10]"
LADDER = "0.25-1 [4]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """What the panel says. `settings` name source and mask by their digests."""

    source: Source
    mask: Mask
    settings: GenerationSettings

    def read(self, digest: str) -> np.ndarray:
        """The source or the mask, by digest, also while they are not stored."""
        if digest == self.settings.init_image:
            return self.source.array
        assert self.mask.array is not None
        return self.mask.array

    def keep(self, runtime: Runtime) -> None:
        """Stores source and mask: before anything is asked for that needs them."""
        runtime.store.inputs.keep(self.source.array)
        if self.mask.array is not None:
            runtime.store.inputs.keep(self.mask.array)
        hold_source(PREFIX, self.settings.init_image, self.settings.mask_image)


def key(name: str) -> str:
    return f"{PREFIX}_{name}"


def parameters() -> tuple[Parameter, ...]:
    """Everything that the address may say."""
    switch = ("true", "false")
    fits = tuple(FITS.values())
    titles = tuple(sample.title for sample in SAMPLES)
    crossings = tuple(AXES[name].label for name in CROSSINGS)
    own = [
        Parameter(field="from", kind="choice", choices=KINDS),
        Parameter(field="sample", kind="choice", choices=titles),
        Parameter(field="images", kind="text"),
        Parameter(field="start", kind="choice", choices=STARTS),
        Parameter(field="fit", kind="choice", choices=fits),
        Parameter(field="across", kind="int", low=0, high=100),
        Parameter(field="down", kind="int", low=0, high=100),
        Parameter(field="view", kind="choice", choices=VIEWS),
        Parameter(field="look", kind="choice", choices=LOOKS),
        Parameter(field="strengths", kind="text"),
        Parameter(field="edit", kind="text"),
        Parameter(field="cross", kind="choice", choices=crossings),
        Parameter(field="columns", kind="text"),
        *(Parameter(field=f"rows_{name}", kind="text") for name in CROSSINGS),
        Parameter(field="masked", kind="choice", choices=switch),
        Parameter(field="inverted", kind="choice", choices=switch),
        Parameter(field="mask_from", kind="choice", choices=WAYS),
        Parameter(field="shapes", kind="int", low=1, high=MOST_SHAPES),
    ]
    for index in range(MOST_SHAPES):
        own += [
            Parameter(field=f"shape_{index}", kind="choice", choices=SHAPE_KINDS),
            Parameter(field=f"shape_across_{index}", kind="range", low=0, high=100),
            Parameter(field=f"shape_down_{index}", kind="range", low=0, high=100),
        ]
    base = settings_parameters(list_models(), tuple(SCHEDULERS))
    return (*own, *base, *source_parameters())


def defaults(model: ModelInfo) -> dict[str, object]:
    """What each control shows before anyone touched it."""
    return {
        **default_values(model),
        "seed": FIRST_SEED,
        "strength": 0.8,
        "view": VIEWS[0],
        "from": KINDS[0],
    }


def prompt_box(model: ModelInfo) -> tuple[DeltaGenerator, PromptPlaces]:
    """The prompt; returns the places of the button and for `count_tokens`."""
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            key=key("prompt"),
            height=76,
            placeholder="Describe the picture, then press Ctrl+Enter",
            label_visibility="collapsed",
            **BOUND,
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            button = st.container(width="content")
            if model.example_prompts:
                st.menu_button(
                    "Examples",
                    model.example_prompts,
                    key=f"{PREFIX}:example",
                    icon=":material/lightbulb:",
                    on_click=_use_example,
                )
            line = st.container(width="content")
        return button, PromptPlaces(line=line, below=st.container())


def panel(runtime: Runtime) -> Form | None:
    """Source, strength, mask and settings; None while there is no source."""
    places = [st.container(border=True, gap="small") for _ in range(2)]
    # First of all, so that the size is known when the source is fitted to it.
    with st.expander("Settings", icon=":material/tune:", key=f"{PREFIX}:settings"):
        base = settings_form(runtime.model, PREFIX, seed=FIRST_SEED, has_count=False).settings
    if base.seed == -1:
        base = replace(base, seed=STATE.drawn_seed())
    with places[0]:
        model = chosen_model(runtime.model, PREFIX)
        source = choose_source(runtime, model, base.width, base.height)
    with places[1]:
        is_latents = source is not None and source.is_latents
        strengths = strength_controls(PREFIX, has_posterior=not is_latents)
        mask = mask_form(source, model.vae_scale_factor) if source is not None else Mask()
    if source is None:
        with places[1]:
            st.caption("A mask goes over a picture: choose one above first.")
        return None
    settings = replace(
        base,
        width=source.width,
        height=source.height,
        init_image=source.digest,
        mask_image="" if mask.array is None else input_digest(mask.array),
        **strengths,
        **mask.values,
    )
    return Form(source=source, mask=mask, settings=settings)


def one_form(form: Form) -> SweepForm:
    """One picture, as a sweep of one strength."""
    axis = Axis(name="strength", values=(form.settings.strength,))
    sweep = Sweep(base=form.settings, x=axis)
    return SweepForm(sweep=sweep, problems=form.mask.problems, draws_seed=False, read=form.read)


def strip_form(form: Form) -> SweepForm:
    """A list of strengths side by side."""
    axis, problems = _axis("strength", "strengths", STRIP, "Strengths")
    sweep = Sweep(base=form.settings, x=axis)
    return SweepForm(
        sweep=sweep, problems=(*form.mask.problems, *problems), draws_seed=False, read=form.read
    )


def grid_form(form: Form) -> SweepForm:
    """Strengths along the columns, another setting down the rows."""
    row = st.segmented_control(
        "Strength by",
        list(CROSSINGS),
        default=CROSSINGS[0],
        required=True,
        key=key("cross"),
        format_func=lambda name: AXES[name].label,
        **BOUND,
    )
    name = row if row in CROSSINGS else CROSSINGS[0]
    left, right = st.columns(2, gap="small")
    with left:
        across, problems = _axis("strength", "columns", LADDER, "Strengths")
    with right:
        down, more = _axis(name, "rows", AXES[name].examples, AXES[name].label, per=name)
    sweep = Sweep(base=form.settings, x=across, y=down)
    problems = [*form.mask.problems, *problems, *more]
    return SweepForm(sweep=sweep, problems=tuple(problems), draws_seed=False, read=form.read)


def _axis(
    name: str, field: str, first: str, label: str, per: str = ""
) -> tuple[Axis | None, list[SweepProblem]]:
    """Values in the value syntax. `per` lets each parameter of a side keep what was typed."""
    row = AXES[name]
    typed = st.text_input(
        label,
        first,
        key=key(f"{field}_{per}" if per else field),
        live=True,
        help="A list such as 0.2, 0.5 or 0.1-1 [10] or 0.2-0.8 (+0.1).",
        **BOUND,
    )
    try:
        found: ParsedValues = read_values(typed or "", row.kind)
    except ValuesError as error:
        problems = [
            SweepProblem(axis=row.label, value=one.text if one.place else "", reason=one.reason)
            for one in error.problems
        ]
        st.caption(f":red[{plain('; '.join(map(str, problems)))}]")
        return None, problems
    return Axis(name=name, values=found.values), []


def _use_example() -> None:
    st.session_state[key("prompt")] = st.session_state[f"{PREFIX}:example"]
