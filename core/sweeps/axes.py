"""AXES: one row a parameter that can be swept. Adding an axis is adding a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from core.diffusion.models.loras import MAX_WEIGHT, LoraError, loras_text, parse_loras
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.variations import METHODS
from core.diffusion.settings import MAX_GUIDANCE, MAX_SEED, MAX_STEPS, GenerationSettings


class AxisError(ValueError):
    """A value that an axis cannot take; the message says why, for the person who typed it."""


@dataclass(frozen=True, kw_only=True)
class AxisRow:
    """A parameter as an axis.

    `apply` gives the settings with one value of the axis, or raises AxisError; `first` is the
    axis' first value (the term that a search-and-replace looks for). `field` is the setting it
    changes, by which a problem of the settings is told as a problem of this axis. `bounds` and a
    sensible `step` are for the reader; the settings' own validation has the last word.
    `examples` is a list in the value syntax.
    """

    name: str
    label: str
    field: str
    kind: type[int | float | str]
    apply: Callable[[GenerationSettings, Any, Any], GenerationSettings]
    examples: str
    bounds: tuple[float, float] | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    cost: str = "one image a value"
    note: str = ""

    def about(self) -> str:
        """What its values may be, and what one value more costs."""
        words = [self.note] if self.note else []
        if self.choices:
            words.append(f"One of {', '.join(self.choices)}.")
        if self.bounds is not None:
            by = f", by {self.step:g} for instance" if self.step not in (None, 1) else ""
            words.append(f"From {self.bounds[0]:g} to {self.bounds[1]:.10g}{by}.")
        return " ".join([*words, f"Cost: {self.cost}."])

    def show(self, value: Any) -> str:
        """A value as a label writes it."""
        if self.name == "model":
            return PurePath(str(value)).name or str(value)
        return f"{value:g}" if isinstance(value, float) else str(value) or "(empty)"


def _sets(field: str) -> Callable[[GenerationSettings, Any, Any], GenerationSettings]:
    def apply(settings: GenerationSettings, value: Any, first: Any) -> GenerationSettings:
        return replace(settings, **{field: value})

    return apply


def _replace_in_prompt(settings: GenerationSettings, value: str, first: str) -> GenerationSettings:
    if not first:
        raise AxisError("the first term, which is searched for, is empty")
    if first not in settings.prompt:
        raise AxisError(f"{first!r}, the term to search for, is not in the prompt")
    return replace(settings, prompt=settings.prompt.replace(first, value))


_SIZE = re.compile(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*")


def _resize(settings: GenerationSettings, value: str, first: str) -> GenerationSettings:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise AxisError(f"{value!r} is no size such as 128x96")
    return replace(settings, width=int(match[1]), height=int(match[2]))


def _strengthen(settings: GenerationSettings, value: float, first: float) -> GenerationSettings:
    if not settings.init_image:
        raise AxisError("there is no source picture: begin on the Image-to-image page")
    return replace(settings, strength=value)


def _add_loras(settings: GenerationSettings, value: str, first: str) -> GenerationSettings:
    try:
        return replace(settings, loras=loras_text(parse_loras(value)))
    except LoraError as error:
        raise AxisError(str(error)) from None


def _weigh_lora(settings: GenerationSettings, value: float, first: float) -> GenerationSettings:
    """The first LoRA of the settings; the others keep their weights."""
    try:
        loras = parse_loras(settings.loras)
    except LoraError as error:
        raise AxisError(str(error)) from None
    if not loras:
        raise AxisError("the base settings name no LoRA whose weight could be swept")
    return replace(settings, loras=loras_text([replace(loras[0], weight=value), *loras[1:]]))


def _choose_scheduler(settings: GenerationSettings, value: str, first: str) -> GenerationSettings:
    names = {name.lower(): name for name in SCHEDULERS}
    return replace(settings, scheduler=names.get(value.strip().lower(), value))


def _table(*rows: AxisRow) -> dict[str, AxisRow]:
    return {row.name: row for row in rows}


# In the order in which they are applied: a whole prompt comes before search and replace in it,
# steps before a snapshot of them.
AXES: Mapping[str, AxisRow] = _table(
    AxisRow(
        name="model",
        label="Model",
        field="model",
        kind=str,
        apply=_sets("model"),
        examples="bundled",
        cost="one image a value, and loading each model once",
    ),
    AxisRow(
        name="prompt",
        label="Prompt",
        field="prompt",
        kind=str,
        apply=_sets("prompt"),
        examples='"a red apple on a blue background", "a robot on a pink background"',
        note="Whole prompts. Put one with commas in quotes.",
    ),
    AxisRow(
        name="prompt_search_replace",
        label="Prompt: search and replace",
        field="prompt",
        kind=str,
        apply=_replace_in_prompt,
        examples="red, blue, green",
        note="The first term is searched for in the prompt; each in turn takes its place.",
    ),
    AxisRow(
        name="negative_prompt",
        label="Negative prompt",
        field="negative_prompt",
        kind=str,
        apply=_sets("negative_prompt"),
        examples='"", "flat style"',
    ),
    AxisRow(
        name="seed",
        label="Seed",
        field="seed",
        kind=int,
        apply=_sets("seed"),
        examples="1-4",
        bounds=(0, MAX_SEED),
        step=1,
    ),
    AxisRow(
        name="scheduler",
        label="Scheduler",
        field="scheduler",
        kind=str,
        apply=_choose_scheduler,
        examples="DDIM, Euler, DPM++ 2M",
        choices=tuple(SCHEDULERS),
    ),
    AxisRow(
        name="num_inference_steps",
        label="Steps",
        field="num_inference_steps",
        kind=int,
        apply=_sets("num_inference_steps"),
        examples="4, 8, 16, 32",
        bounds=(1, MAX_STEPS),
        step=1,
        cost="as many UNet calls as the value",
        note="Whole runs of so many steps, each from the noise to a finished image.",
    ),
    AxisRow(
        name="guidance_scale",
        label="Guidance scale",
        field="guidance_scale",
        kind=float,
        apply=_sets("guidance_scale"),
        examples="1, 2, 3, 5, 8",
        bounds=(0, MAX_GUIDANCE),
        step=0.5,
        cost="one image a value; up to 1 it is off and costs half",
    ),
    AxisRow(
        name="guidance_rescale",
        label="Guidance rescale",
        field="guidance_rescale",
        kind=float,
        apply=_sets("guidance_rescale"),
        examples="0-1 [5]",
        bounds=(0, 1),
        step=0.1,
    ),
    AxisRow(
        name="strength",
        label="Strength",
        field="strength",
        kind=float,
        apply=_strengthen,
        examples="0.1-1 [10]",
        bounds=(0, 1),
        step=0.05,
        cost="its share of one image's steps",
        note="Image-to-image: how much noise is laid on the source, and so the share of the steps "
        "that is run, rounded down.",
    ),
    AxisRow(
        name="size",
        label="Width x height",
        field="width",
        kind=str,
        apply=_resize,
        examples="128x128, 192x128",
        cost="as many times more as it has pixels",
    ),
    AxisRow(
        name="variation_seed",
        label="Variation seed",
        field="variation_seed",
        kind=int,
        apply=_sets("variation_seed"),
        examples="1-4",
        bounds=(0, MAX_SEED),
        step=1,
    ),
    AxisRow(
        name="variation_strength",
        label="Variation strength",
        field="variation_strength",
        kind=float,
        apply=_sets("variation_strength"),
        examples="0-1 [5]",
        bounds=(0, 1),
        step=0.05,
    ),
    AxisRow(
        name="variation_method",
        label="Variation method",
        field="variation_method",
        kind=str,
        apply=_sets("variation_method"),
        examples="slerp, blend, add",
        choices=tuple(METHODS),
        note="How the noise moves towards the variation seed's, at the variation strength.",
    ),
    AxisRow(
        name="prompt_blend",
        label="Prompt blend",
        field="prompt_blend",
        kind=float,
        apply=_sets("prompt_blend"),
        examples="0-1 [5]",
        bounds=(0, 1),
        step=0.05,
        note="From the prompt, 0, to the second prompt of the base settings, 1.",
    ),
    AxisRow(
        name="loras",
        label="LoRA",
        field="loras",
        kind=str,
        apply=_add_loras,
        examples='"", "ink:0.8", "ink:0.8, paper:0.5"',
        note="LoRA files with their weights; an empty text is none. Put several in quotes.",
    ),
    AxisRow(
        name="lora_weight",
        label="LoRA weight",
        field="loras",
        kind=float,
        apply=_weigh_lora,
        examples="0, 0.5, 1",
        bounds=(-MAX_WEIGHT, MAX_WEIGHT),
        step=0.1,
        note="Of the first LoRA that the base settings name; 0 is without it.",
    ),
    AxisRow(
        name="snapshot",
        label="Snapshot at step",
        field="snapshot",
        kind=int,
        apply=_sets("snapshot"),
        examples="1, 2, 4, 8, 16",
        bounds=(0, 2 * MAX_STEPS),
        step=1,
        cost="one decoding a value: all come out of one denoising run",
        note="The picture that the model believed in after so many UNet calls of one run; "
        "0 is the finished image.",
    ),
)
