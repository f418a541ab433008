"""Rows of SETTINGS: what becomes of a mask. Without one, none of them has an effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.diffusion.recipe.masks import MASK_MODES
from core.diffusion.recipe.rows.sampler import SINCE, SWITCH
from core.diffusion.recipe.setting import AxisError, Setting, Settings, Swept, WebUiText

MOST = 64
"""Pixels: the web UI's own limit of its mask blur."""

MOST_PADDING = 256
"""Pixels: the web UI's own limit of its padding."""

_AREAS = {False: "Whole picture", True: "Only masked"}
"""The web UI's "Inpaint area"."""


def _changes(name: str, default: Any) -> Callable[[Settings], bool]:
    def matters(settings: Settings) -> bool:
        return bool(
            settings.init_image and settings.mask_image and getattr(settings, name) != default
        )

    return matters


def _put(settings: Settings, name: str, value: Any) -> Settings:
    if not settings.init_image or not settings.mask_image:
        raise AxisError("there is no mask: make one on the Image to image page")
    return replace(settings, **{name: value})


def _swept(name: str, examples: str, note: str) -> Swept:
    def apply(settings: Settings, value: Any, first: Any) -> Settings:
        return _put(settings, name, value)

    return Swept(examples=examples, apply=apply, note=note)


def _masked_only(settings: Settings, value: str, first: str) -> Settings:
    word = value.strip().lower()
    if word not in SWITCH:
        raise AxisError(f"{value!r} is neither off nor on")
    return _put(settings, "masked_only", SWITCH[word])


def _pads(settings: Settings) -> bool:
    return bool(settings.init_image and settings.mask_image and settings.masked_only)


def _unfit_area(settings: Settings) -> str:
    if settings.posterior != "latents" or not _pads(settings):
        return ""
    return "needs a picture, of which an area can be enlarged: this source is latents"


def _area(text: str) -> bool:
    if text not in _AREAS.values():
        raise ValueError(text)
    return text == _AREAS[True]


def _mode(text: str) -> str:
    if text not in MASK_MODES:
        raise ValueError(text)
    return text


MASK_ROWS = (
    Setting(
        name="mask_grow",
        default=0,
        label="Mask grow",
        help="Pixels by which the mask grows, in a disk about each of its points; below 0 it "
        "shrinks.",
        group="source",
        bounds=(-MOST, MOST),
        step=1,
        matters=_changes("mask_grow", 0),
        web_ui=WebUiText(keys=("Mask grow",), read=int),
        swept=(_swept("mask_grow", "-8, 0, 8", "Inpainting: below 0 the mask shrinks."),),
        since=SINCE,
    ),
    Setting(
        name="mask_blur",
        default=0,
        label="Mask blur",
        help="Pixels: standard deviation of a Gaussian blur of the mask, after it has grown. A "
        "binary mask is cut at one half after it; a differential one keeps the soft edge.",
        group="source",
        bounds=(0, MOST),
        step=1,
        matters=_changes("mask_blur", 0),
        web_ui=WebUiText(keys=("Mask blur",), read=int),
        swept=(_swept("mask_blur", "0, 4, 8, 16", "Inpainting: a Gaussian blur of the mask."),),
        since=SINCE,
    ),
    Setting(
        name="mask_mode",
        default=MASK_MODES[0],
        label="Mask mode",
        help="binary: white changes, black does not. differential: grey says how far a place may "
        "change, half grey in the second half of the steps alone (Levin and Fried 2023).",
        group="source",
        choices=MASK_MODES,
        matters=_changes("mask_mode", MASK_MODES[0]),
        web_ui=WebUiText(keys=("Mask mode",), read=_mode),
        swept=(
            _swept(
                "mask_mode",
                "binary, differential",
                "Inpainting: differential lets grey say how far a place may change.",
            ),
        ),
        since=SINCE,
    ),
    Setting(
        name="masked_only",
        default=False,
        label="Only masked",
        help="The area around the mask alone is enlarged to the whole size, inpainted there and "
        "laid back, so that a small part gets all of the model's resolution.",
        group="source",
        matters=_pads,
        unfit=_unfit_area,
        is_relative=True,
        web_ui=WebUiText(keys=("Inpaint area",), write=_AREAS.__getitem__, read=_area),
        swept=(
            Swept(
                kind=str,
                examples="off, on",
                apply=_masked_only,
                note="Inpainting: off is the whole picture, on the area around the mask, enlarged.",
            ),
        ),
        since=SINCE,
    ),
    Setting(
        name="masked_padding",
        default=32,
        label="Only masked padding",
        help="Pixels of the picture around the mask that the model sees too, with Only masked.",
        group="source",
        bounds=(0, MOST_PADDING),
        step=4,
        matters=_pads,
        web_ui=WebUiText(keys=("Masked area padding",), read=int),
        swept=(
            _swept(
                "masked_padding",
                "0, 16, 32, 64",
                "Inpainting: with Only masked, the pixels around the mask that the model sees.",
            ),
        ),
        since=SINCE,
    ),
)
