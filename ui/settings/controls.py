"""Widgets -> GenerationSettings. Every widget is bound to the address and outlives its page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelInfo, list_models
from core.diffusion.recipe.limits import nearest_side
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import MAX_SEED, MAX_SIDE, GenerationSettings
from core.output.texts.infotext import ReadBack
from core.sweeps.drawn import as_typed
from ui.catalog import GENERATE
from ui.help import help_of
from ui.links import BOUND, MAX_COUNT, Parameter, put_settings, settings_parameters
from ui.settings.fields import bounded, control, default_of
from ui.settings.file_controls import lora_box, vae_box
from ui.settings.guidance_controls import GUIDANCE, guidance_controls
from ui.settings.model_picker import chosen_model, model_picker
from ui.settings.noise_controls import noise_controls, second_prompt_controls
from ui.settings.sampler_controls import SAMPLER, sampler_controls
from ui.views import plain

PREFIX = GENERATE.prefix
SEEDS = ("seed", "variation_seed")
LAST_SEED = f"{PREFIX}:last_seed"

MADE = Parameter(field="made", kind="int", low=0, high=MAX_SEED)
"""The seed that was drawn for the picture in view, where the form's own is random."""
# Those that have a place of their own in the form; every other setting has its plain control.
PLACED = (
    {"negative_prompt", "prompt", "prompt_2", "prompt_blend", "model", "loras", "vae"}
    | {"seed", "scheduler", "num_inference_steps", "guidance_scale", "width", "height"}
    | {name for name, row in SETTINGS.items() if row.group == "source"}
    | {name for name in SETTINGS if name.startswith("variation_")}
    | set(SAMPLER)
    | set(GUIDANCE)
)
PLAIN = tuple(name for name in SETTINGS if name not in PLACED)

# Width to height, as photographers say them; sides follow from the model's own size.
SHAPES = {
    "Square 1:1": (1, 1),
    "Landscape 4:3": (4, 3),
    "Landscape 3:2": (3, 2),
    "Portrait 3:4": (3, 4),
    "Portrait 2:3": (2, 3),
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the controls say now. `settings.seed` is -1 where one is to be drawn."""

    settings: GenerationSettings
    count: int

    def batch(self) -> list[GenerationSettings]:
        """One setting a picture, of consecutive seeds; draws the first where it is -1."""
        first = self.settings.seed
        if first < -1:
            return [self.settings] * self.count  # which is said, and does not run
        if first < 0:
            first = secrets.randbelow(MAX_SEED + 2 - self.count)
        return [replace(self.settings, seed=first + i) for i in range(self.count)]


def key(field: str, prefix: str = PREFIX) -> str:
    return f"{prefix}_{field}"


def parameters() -> tuple[Parameter, ...]:
    return (*settings_parameters(list_models(), tuple(SCHEDULERS)), MADE)


def settings_form(
    model: ModelInfo, prefix: str = PREFIX, *, seed: int = -1, has_count: bool = True
) -> Form:
    """Every number and choice, compact, for the page of `prefix`; `seed` is what it begins with.

    The prompt comes from a box drawn before. Without `has_count` it is one picture.
    """
    negative = st.text_area(
        SETTINGS["negative_prompt"].label,
        key=key("negative_prompt", prefix),
        height=96,
        help=help_of(SETTINGS["negative_prompt"]),
        **BOUND,
    )
    seed, count = _seed(prefix, seed, has_count)
    steps, guidance = _steps_and_guidance(model, prefix)
    scheduler = control("scheduler", prefix, default=model.default_scheduler)
    st.caption(plain(SCHEDULERS[scheduler].note))
    with st.expander("Sampler", icon=":material/tune:", key=f"{prefix}:sampler"):
        sampler = sampler_controls(prefix, scheduler)
    with st.expander("Guidance", icon=":material/explore:", key=f"{prefix}:guidance"):
        guided = guidance_controls(model, prefix, scheduler=scheduler, **sampler)
    width, height = _size(model, prefix)
    with st.expander("More settings", icon=":material/tune:", key=f"{prefix}:more"):
        more = _more(model, prefix)
    settings = GenerationSettings(
        prompt=st.session_state.get(key("prompt", prefix)) or "",
        negative_prompt=negative or "",
        seed=seed,
        width=width,
        height=height,
        num_inference_steps=steps,
        guidance_scale=guidance,
        scheduler=scheduler,
        **sampler,
        **guided,
        **more,
    )
    return Form(settings=settings, count=count)


def default_values(model: ModelInfo) -> dict[str, object]:
    """What each control shows before anyone touched it."""
    shown = {
        name: default_of(row, model)
        for name, row in SETTINGS.items()
        if row.group != "source" and (row.kind is not str or row.choices)
    }
    return {**shown, "seed": -1, "count": 1, "model": model.source}


def use_found(found: ReadBack, with_seed: bool) -> None:
    """A callback: sets what a picture said, and leaves what it did not say as it was."""
    if found.settings is None:
        return
    values = as_typed(found.settings).to_dict()
    wanted = [name for name in found.fields if with_seed or name not in SEEDS]
    put_settings(PREFIX, {name: values[name] for name in wanted})
    if with_seed:
        st.session_state[f"{PREFIX}:job"] = None  # its own picture is shown, if it is stored


def _seed(prefix: str, first: int, has_count: bool) -> tuple[int, int]:
    left, right = st.columns(2, gap="small")
    seed = control("seed", prefix, left, default=first)
    if not has_count:
        with right.container(height="stretch", vertical_alignment="bottom"):
            _draw_button(prefix)
        return int(seed), 1
    count = bounded(
        "Pictures",
        1,
        MAX_COUNT,
        1,
        place=right,
        key=key("count", prefix),
        help="With consecutive seeds, computed in one batch.",
        **BOUND,
    )
    last: int | None = st.session_state.get(LAST_SEED)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _draw_button(prefix)
        st.button(
            f"Reuse {last}" if last is not None else "Reuse last",
            key="generate:reuse",
            icon=":material/history:",
            help="The seed of the last picture.",
            disabled=last is None,
            on_click=_set,
            args=("seed", last),
        )
    return int(seed), count


def _draw_button(prefix: str) -> None:
    st.button(
        "Random seed",
        key=f"{prefix}:draw",
        icon=":material/casino:",
        help="Set the seed to -1: every click uses another one.",
        on_click=_set,
        args=("seed", -1, prefix),
    )


def _steps_and_guidance(model: ModelInfo, prefix: str) -> tuple[int, float]:
    left, right = st.columns(2, gap="small")
    steps = control("num_inference_steps", prefix, left, default=model.default_num_inference_steps)
    guidance = control("guidance_scale", prefix, right, default=model.default_guidance_scale)
    return steps, guidance


def _size(model: ModelInfo, prefix: str) -> tuple[int, int]:
    factor = model.vae_scale_factor
    left, right = st.columns(2, gap="small")
    width = control("width", prefix, left, default=model.default_width, low=factor, step=factor)
    height = control("height", prefix, right, default=model.default_height, low=factor, step=factor)
    width, height = _snapped(width, factor, left), _snapped(height, factor, right)
    with st.container(horizontal=True, gap="small"):
        st.menu_button(
            "Size",
            list(SHAPES),
            key=f"{prefix}:shape",
            icon=":material/aspect_ratio:",
            on_click=_use_shape,
            args=(chosen_model(model, prefix), prefix),
        )
        st.button(
            "Swap",
            key=f"{prefix}:swap",
            icon=":material/swap_horiz:",
            help="Width becomes height.",
            on_click=_swap,
            args=(prefix,),
        )
    return width, height


def _snapped(side: int, factor: int, place: DeltaGenerator) -> int:
    """A side in steps of the latents' places, which is said where another was typed. One out of
    bounds stays: that is said already, and does not run.
    """
    nearest = nearest_side(side, factor)
    if side % factor == 0 or not factor <= side <= MAX_SIDE:
        return side
    place.caption(f"{side} is drawn at {nearest}: sides are multiples of {factor}")
    return nearest


def _more(model: ModelInfo, prefix: str) -> dict[str, Any]:
    values = noise_controls(prefix) | second_prompt_controls(prefix)
    values |= {"loras": lora_box(prefix), "vae": vae_box(prefix)}
    values |= {name: control(name, prefix) for name in PLAIN}
    return {**values, "model": model_picker(model, prefix, default_values)}


def _set(field: str, value: Any, prefix: str = PREFIX) -> None:
    st.session_state[key(field, prefix)] = value


def _use_shape(model: ModelInfo, prefix: str) -> None:
    width, height = shape_size(st.session_state[f"{prefix}:shape"], model)
    _set("width", width, prefix)
    _set("height", height, prefix)


def shape_size(shape: str, model: ModelInfo) -> tuple[int, int]:
    """Sides of about the area that the model was trained on, in steps of two latents."""
    across, down = SHAPES[shape]
    area, unit = model.default_width * model.default_height, 2 * model.vae_scale_factor
    scale = (area / (across * down)) ** 0.5
    return (
        max(unit, round(across * scale / unit) * unit),
        max(unit, round(down * scale / unit) * unit),
    )


def _swap(prefix: str) -> None:
    width, height = (st.session_state[key(side, prefix)] for side in ("width", "height"))
    _set("width", height, prefix)
    _set("height", width, prefix)
