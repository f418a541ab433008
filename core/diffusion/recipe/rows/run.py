"""Rows of SETTINGS: the model, and how its run is laid out and guided."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath

from core.diffusion.recipe.limits import MAX_SEED, MAX_SIDE, MAX_STEPS, MIN_SIDE
from core.diffusion.recipe.prompt.lora_text import (
    MAX_WEIGHT,
    LoraError,
    loras_text,
    parse_loras,
    takes_part,
)
from core.diffusion.recipe.schedulers import SCHEDULERS, nearest_scheduler
from core.diffusion.recipe.setting import AxisError, Setting, Settings, Swept, WebUiText

_SIZE = re.compile(r"\s*(\d{1,5})\s*[x×*]\s*(\d{1,5})\s*")


def _resize(settings: Settings, value: str, first: str) -> Settings:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise AxisError(f"{value!r} is no size such as 128x96")
    return replace(settings, width=int(match[1]), height=int(match[2]))


def _choose_scheduler(settings: Settings, value: str, first: str) -> Settings:
    names = {name.lower(): name for name in SCHEDULERS}
    return replace(settings, scheduler=names.get(value.strip().lower(), value))


def _unknown_scheduler(name: str) -> str:
    if name in SCHEDULERS:  # looking for the nearest takes a millisecond
        return ""
    return f"{name!r} is unknown; did you mean {nearest_scheduler(name)!r}?"


def _add_loras(settings: Settings, value: str, first: str) -> Settings:
    try:
        return replace(settings, loras=loras_text(parse_loras(value)))
    except LoraError as error:
        raise AxisError(str(error)) from None


def _weigh_lora(settings: Settings, value: float, first: float) -> Settings:
    """The first LoRA of the settings; the others keep their weights."""
    try:
        loras = parse_loras(settings.loras)
    except LoraError as error:
        raise AxisError(str(error)) from None
    if not loras:
        raise AxisError("the base settings name no LoRA whose weight could be swept")
    return replace(settings, loras=loras_text([replace(loras[0], weight=value), *loras[1:]]))


def _broken_loras(text: str) -> str:
    try:
        parse_loras(text)
    except LoraError as error:
        return str(error)
    return ""


def _no_vae_name(name: str) -> str:
    """A VAE is called by its name in the model roots: a path tells nobody else which one it was."""
    if any(mark in name for mark in "/\\\0") or name != name.strip() or name in (".", ".."):
        return f"{name!r} is no name: give that of a file or folder in LIGHTBOX_MODELS, no path"
    return ""


MODEL_ROWS = (
    Setting(
        name="model",
        default="bundled",
        label="Model",
        help='Which model: "bundled", a name in LIGHTBOX_MODELS, a folder in diffusers layout, a '
        ".safetensors checkpoint, or a hub id.",
        group="model",
        check=lambda name: "" if name.strip() else 'is empty: name one, such as "bundled"',
        show=lambda name: PurePath(name).name or name,
        web_ui=WebUiText(keys=("Model", "Model hash"), is_plain=False),
        swept=(Swept(examples="bundled", cost="one image a value, and loading each model once"),),
    ),
    Setting(
        name="loras",
        default="",
        label="LoRA",
        help='Files in LIGHTBOX_MODELS that change the model, with their weights: "ink:0.8, '
        'paper:0.5". A weight of 0 is none.',
        group="model",
        matters=lambda settings: bool(settings.loras) and takes_part(settings.loras),
        check=_broken_loras,
        web_ui=WebUiText(keys=(), is_plain=False),
        swept=(
            Swept(
                examples='"", "ink:0.8", "ink:0.8, paper:0.5"',
                apply=_add_loras,
                note="LoRA files with their weights; an empty text is none. Put several in quotes.",
            ),
            Swept(
                name="lora_weight",
                label="LoRA weight",
                kind=float,
                examples="0, 0.5, 1",
                apply=_weigh_lora,
                bounds=(-MAX_WEIGHT, MAX_WEIGHT),
                step=0.1,
                note="Of the first LoRA that the base settings name; 0 is without it.",
            ),
        ),
    ),
    Setting(
        name="vae",
        default="",
        label="VAE",
        help="A file or folder in LIGHTBOX_MODELS whose VAE encodes and decodes pictures in place "
        "of the model's own.",
        group="model",
        matters=lambda settings: bool(settings.vae),
        check=_no_vae_name,
        show=lambda name: name or "(the model's own)",
        web_ui=WebUiText(keys=("VAE", "VAE hash"), is_plain=False),
        since="0.2.0",
        swept=(
            Swept(
                examples='"", "vae-ft-mse.safetensors", taesd',
                cost="one decoding a value: without a source picture all come out of one denoising "
                "run",
                note="VAEs by the names of their files or folders; an empty text is the model's "
                "own.",
            ),
        ),
    ),
)

RUN_ROWS = (
    Setting(
        name="seed",
        default=0,
        label="Seed",
        help="Draws the noise that the picture starts from; -1 draws a seed.",
        group="noise",
        bounds=(0, MAX_SEED),
        step=1,
        draws=True,
        web_ui=WebUiText(keys=("Seed",), read=int),
        swept=(Swept(examples="1-4"),),
    ),
    Setting(
        name="scheduler",
        default="DPM++ 2M",
        label="Scheduler",
        help='How the noise is removed, step by step: such as "Euler a" or "DPM++ 2M Karras".',
        group="sampler",
        choices=tuple(SCHEDULERS),
        check=_unknown_scheduler,
        from_model=True,
        web_ui=WebUiText(keys=("Sampler", "Schedule type"), is_plain=False),
        swept=(Swept(examples="DDIM, Euler, DPM++ 2M", apply=_choose_scheduler),),
    ),
    Setting(
        name="num_inference_steps",
        default=20,
        label="Steps",
        help="Denoising steps, from the noise to the picture.",
        group="sampler",
        bounds=(1, MAX_STEPS),
        step=1,
        from_model=True,
        web_ui=WebUiText(keys=("Steps",), read=int),
        swept=(
            Swept(
                examples="1, 2, 4, 8, 16, 32",
                cost="as many UNet calls as the value",
                note="Whole runs of so many steps, each from the noise to a finished image.",
            ),
        ),
    ),
)

SIZE_ROWS = (
    Setting(
        name="width",
        default=128,
        label="Width",
        help="In pixels.",
        group="sampler",
        bounds=(MIN_SIDE, MAX_SIDE),
        from_model=True,
        web_ui=WebUiText(keys=("Size",), is_plain=False),
        swept=(
            Swept(
                name="size",
                label="Width x height",
                kind=str,
                examples="128x128, 192x128",
                apply=_resize,
                also=("height",),
                cost="as many times more as it has pixels",
            ),
        ),
    ),
    Setting(
        name="height",
        default=128,
        label="Height",
        help="In pixels.",
        group="sampler",
        bounds=(MIN_SIDE, MAX_SIDE),
        from_model=True,
        web_ui=WebUiText(keys=("Size",), is_plain=False),
    ),
)

SNAPSHOT_ROWS = (
    Setting(
        name="snapshot",
        default=0,
        label="Snapshot at step",
        help="The picture that the model predicts after this many UNet calls, instead of the "
        "finished one. 0 is the finished picture.",
        group="sampler",
        bounds=(0, 2 * MAX_STEPS),
        step=1,
        matters=lambda settings: settings.snapshot > 0,
        is_relative=True,
        web_ui=WebUiText(keys=("Snapshot",), read=int),
        swept=(
            Swept(
                examples="1, 2, 4, 8, 16",
                cost="one decoding a value: all come out of one denoising run",
                note="The picture that the model predicts after this many UNet calls of one run; 0 "
                "is the finished image.",
            ),
        ),
    ),
)
