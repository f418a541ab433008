"""Widgets -> the children: which method, how far, and how many children. All in the address."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, cast

import streamlit as st

from core.diffusion.models.load import ModelInfo, list_models
from core.diffusion.recipe.noise_methods import METHODS, Method
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.variations import ready_to_vary
from core.diffusion.settings import MAX_SEED, GenerationSettings
from core.runs.store.store import StoredImage
from core.sweeps.axes import AXES
from core.sweeps.axis import Axis
from core.sweeps.drawn import as_typed
from core.sweeps.sweep import Sweep, SweepProblem
from core.sweeps.values import ValuesError, read_values
from ui.catalog import VARIATIONS
from ui.grid.plan import SweepForm
from ui.links import BOUND, Parameter, settings_parameters
from ui.settings.controls import default_values
from ui.settings.fields import bounded
from ui.views import plain

PREFIX = VARIATIONS.prefix
LAYOUTS = ("One strength", "Ladder")
VIEWS = ("Children", "Distances", "Effects", "Noise", "Tree", "Walk")
WALKS = ("To a seed", "To a prompt", "A circle")
MOST_CHILDREN = 32
MOST_FRAMES = 120
TURN = "rotate"
FIRST_SEED = 1
FIRST_CHILD = 1001
FRAMES = 16


def key(name: str) -> str:
    return f"{PREFIX}_{name}"


def parameters() -> tuple[Parameter, ...]:
    """Everything that the address may say; "Start from a seed" has all settings."""
    methods = tuple(method.label for method in METHODS.values())
    own = (
        Parameter(field="images", kind="text"),
        Parameter(field="view", kind="choice", choices=VIEWS),
        Parameter(field="method", kind="choice", choices=methods),
        Parameter(field="layout", kind="choice", choices=LAYOUTS),
        Parameter(field="amount", kind="float", low=0, high=1),
        Parameter(field="amounts", kind="text"),
        Parameter(field="first", kind="int", low=0, high=MAX_SEED),
        Parameter(field="children", kind="int", low=1, high=MOST_CHILDREN),
        Parameter(field="channel", kind="int", low=0, high=15),
        Parameter(field="across", kind="text"),
        Parameter(field="down", kind="text"),
        Parameter(field="walk", kind="choice", choices=WALKS),
        Parameter(field="frames", kind="int", low=2, high=MOST_FRAMES),
        Parameter(field="to_seed", kind="int", low=0, high=MAX_SEED),
        Parameter(field="to_prompt", kind="text"),
        Parameter(field="too", kind="choice", choices=("true", "false")),
        Parameter(field="even", kind="choice", choices=("true", "false")),
    )
    return (*own, *settings_parameters(list_models(), tuple(SCHEDULERS)))


def defaults(model: ModelInfo) -> dict[str, object]:
    """What each control shows before anyone touched it."""
    return {
        **default_values(model),
        "seed": FIRST_SEED,
        "view": VIEWS[0],
        "method": next(iter(METHODS)),
        "layout": LAYOUTS[0],
        "amount": 0.2,
        "first": FIRST_CHILD,
        "children": 8,
        "walk": WALKS[0],
        "frames": FRAMES,
        "to_seed": FIRST_CHILD,
    }


def children_form(image: StoredImage, channels: int) -> SweepForm:
    """The panel: method and formula, strength or ladder, the children's seeds."""
    method = METHODS[
        cast(
            "str",
            st.selectbox(
                "Method",
                list(METHODS),
                key=key("method"),
                format_func=lambda name: METHODS[name].label,
                **BOUND,
            ),
        )
    ]
    st.latex(method.formula)
    st.caption("z: the source's noise, n: the variation seed's, s: the strength.")
    st.caption(method.expect)
    extra = _part(method, image.settings, channels)
    layout = st.segmented_control(
        "Children", list(LAYOUTS), default=LAYOUTS[0], required=True, key=key("layout"), **BOUND
    )
    base = as_typed(ready_to_vary(image.settings))
    base = replace(base, variation_method=method.name, **extra)
    problems: list[SweepProblem] = []
    if layout == LAYOUTS[0]:
        amount = _amount(method)
        strengths = None
    else:
        amount = 0.25
        strengths, problems = _amounts(method)
    seeds = Axis(name="variation_seed", values=tuple(_seeds(image)))
    base = replace(base, variation_strength=amount, variation_seed=seeds.values[0])
    if strengths is None:
        sweep = Sweep(base=base, x=seeds)
    else:
        sweep = Sweep(base=base, x=strengths, y=seeds)
    return SweepForm(sweep=sweep, problems=tuple(problems), draws_seed=False)


def _part(method: Method, settings: GenerationSettings, channels: int) -> dict[str, Any]:
    if method.uses == "variation_channel":
        channel = st.segmented_control(
            "Channel", list(range(channels)), default=0, required=True, key=key("channel"), **BOUND
        )
        return {"variation_channel": int(channel or 0)}
    if method.uses == "variation_region":
        return {"variation_region": _region(settings)}
    return {}


def middle_of(settings: GenerationSettings) -> str:
    """The middle half of the picture as a region, in whole latents of 8 pixels."""
    (left, right), (top, bottom) = (_middle(side) for side in (settings.width, settings.height))
    return f"{left},{top},{right},{bottom}"


def _middle(side: int) -> tuple[int, int]:
    return side // 4 // 8 * 8, max(8, side * 3 // 4 // 8 * 8)


def _region(settings: GenerationSettings) -> str:
    """Two sliders that name the box in pixels of the picture."""
    width, height = settings.width, settings.height
    ranges: list[tuple[int, int]] = []
    for label, side in (("From left to right", width), ("From top to bottom", height)):
        found = st.slider(
            label,
            0,
            side,
            _middle(side),
            8,
            key=f"{PREFIX}:{label}:{side}",
            persist_state="session",
            help="In pixels of the picture; 8 of them are one latent.",
        )
        ranges.append(found)
    (left, right), (top, bottom) = ranges
    return f"{left},{top},{right},{bottom}"


def _amount(method: Method) -> float:
    amount = st.slider(
        "Strength",
        0.0,
        1.0,
        0.2,
        0.01,
        key=key("amount"),
        help="0 is the source itself, pixel for pixel.",
        **BOUND,
    )
    if method.as_slerp is not None:
        st.caption(f"As much as slerp at {method.as_slerp(amount):.3f}.")
    if method.name == TURN:
        st.caption(f"A turn of {360 * amount:g}°.")
    return float(amount)


def _amounts(method: Method) -> tuple[Axis, list[SweepProblem]]:
    row = AXES["variation_strength"]
    text = st.text_input(
        "Strengths",
        "0.1-0.5 (+0.1)",
        key=key("amounts"),
        live=True,
        help="The columns: a list such as 0.1, 0.2, 0.4 or 0-1 [5].",
        **BOUND,
    )
    try:
        found = read_values(text or "", row.kind)
    except ValuesError as error:
        reasons = "; ".join(str(problem.reason) for problem in error.problems)
        st.caption(f":red[{plain(reasons)}]")
        problem = SweepProblem(axis=row.label, value="", reason=reasons)
        return Axis(name=row.name, values=(0.25,)), [problem]
    if method.as_slerp is not None:
        same = " · ".join(f"{method.as_slerp(min(1.0, s)):.2f}" for s in found.values[:8])
        st.caption(f"As much as slerp at {same}.")
    return Axis(name=row.name, values=found.values), []


def _seeds(image: StoredImage) -> list[int]:
    left, right = st.columns(2, gap="small")
    count = bounded("Number", 1, MOST_CHILDREN, 8, place=right, key=key("children"), **BOUND)
    first = bounded(
        "Seeds from",
        0,
        MAX_SEED,
        FIRST_CHILD,
        place=left,
        key=key("first"),
        help="Variation seeds: each child has the next one.",
        **BOUND,
    )
    st.button(
        "Random seeds",
        key=f"{PREFIX}:draw_first",
        icon=":material/casino:",
        help="Other variation seeds, chosen at random.",
        on_click=_draw_first,
        args=(count,),
    )
    first = min(first, MAX_SEED + 1 - count)
    seeds = list(range(first, first + count))
    if image.settings.seed in seeds and not image.settings.variation_chain:
        st.caption(f"Seed {image.settings.seed} is the source's own: its child has the same noise.")
    return seeds


def _draw_first(count: int) -> None:
    st.session_state[key("first")] = secrets.randbelow(MAX_SEED + 1 - count)
