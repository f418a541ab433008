"""The mask of inpainting: shapes with sliders, an uploaded picture, or painted with a brush."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.diffusion.recipe.images import (
    MAX_BYTES,
    InputError,
    MaskShape,
    PictureError,
    draw_mask,
    open_picture,
    prepare_mask,
)
from core.diffusion.recipe.masks import emptied, masked_area, missed, prepared_mask, soft_mask
from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.diffusion.settings import GenerationSettings
from core.sweeps.sweep import SweepProblem
from ui.catalog import IMAGE_TO_IMAGE
from ui.help import help_of
from ui.img2img.brush import begin_anew, paint_mask
from ui.img2img.source import Source
from ui.links import BOUND
from ui.runtime import open_runtime
from ui.settings.fields import bounded
from ui.settings.mask_controls import mask_controls
from ui.settings.source_controls import held_source
from ui.views import plain, show_error

PREFIX = IMAGE_TO_IMAGE.prefix
WAYS = ("Draw", "Upload", "Brush")
KINDS = ("Ellipse", "Rectangle")
MOST_SHAPES = 4
SWITCH = "Inpaint part of the picture"
FILE = f"{PREFIX}:mask"
INVERTED_BEFORE = f"{PREFIX}:inverted_before"


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """What the panel says of the mask: uint8 (height, width), white where the picture is inpainted,
    None for the whole picture; its settings, field -> value; and why it cannot be used.
    """

    array: np.ndarray | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[SweepProblem, ...] = ()

    @property
    def used(self) -> Image.Image | None:
        """The mask as it is used: grown, blurred, and cut where it is binary."""
        if self.array is None:
            return None
        is_sound = all(not SETTINGS[name].problem(value) for name, value in self.values.items())
        settings = GenerationSettings(**self.values) if is_sound else GenerationSettings()
        return Image.fromarray(prepared_mask(self.array, settings))


def mask_form(source: Source, vae_scale_factor: int) -> Mask:
    """The switch, how the mask is made, and what becomes of it; what is wrong with it is said below
    it, and by the plan.
    """
    if not st.toggle(
        SWITCH,
        key=f"{PREFIX}_masked",
        help=help_of(
            SETTINGS["mask_image"],
            "Inpainting with any model: after each step, what is outside the mask is put back "
            "from the source, with as much noise as the next step expects.",
        ),
        **BOUND,
    ):
        return Mask()
    way = st.segmented_control(
        "Mask",
        list(WAYS),
        default=WAYS[0],
        required=True,
        key=f"{PREFIX}_mask_from",
        label_visibility="collapsed",
        **BOUND,
    )
    place = st.container(gap="small")
    inverts = st.toggle("Invert the mask", key=f"{PREFIX}_inverted", **BOUND)
    values = mask_controls(PREFIX)  # before the picture, which is read by its mode
    with place:
        width, height = source.width, source.height
        is_grey = values["mask_mode"] == "differential"
        if way == WAYS[1]:
            mask = _uploaded(width, height, is_grey=is_grey)
        elif way == WAYS[2]:
            mask = paint_mask(source, _beginning(width, height, is_grey=is_grey), is_grey=is_grey)
        else:
            mask = _drawn(width, height)
    if mask is None:
        how = "paint over the picture" if way == WAYS[2] else "choose a file"
        reason = f"there is none yet: {how}, or switch {SWITCH!r} off"
        return Mask(problems=(SweepProblem(axis="Mask", value="", reason=reason),))
    found = Mask(array=255 - mask if inverts else mask, values=values)
    assert found.array is not None
    _say_what_is_inpainted(found.array, _settings(source, values), vae_scale_factor)
    return found


def _settings(source: Source, values: Mapping[str, Any]) -> GenerationSettings:
    """With the mask's settings, of those that can be used: what runs says what is wrong."""
    sound = {name: value for name, value in values.items() if not SETTINGS[name].problem(value)}
    return GenerationSettings(width=source.width, height=source.height, **sound)


def _say_what_is_inpainted(
    mask: np.ndarray, settings: GenerationSettings, vae_scale_factor: int
) -> None:
    problem = emptied(mask, settings)
    if problem is not None:
        st.caption(f":red[{plain(f'{label_of(problem.field)}: {problem.reason}')}]")
        return
    soft = soft_mask(mask, settings)
    share = float((prepared_mask(mask, settings) > 0).mean())
    words = f"{share:.0%} of the picture is inpainted. The mask has the latents' resolution."
    if (area := masked_area(soft, settings)) is not None:
        wide, high = area[2] - area[0], area[3] - area[1]
        words += f" An area of {wide} × {high} px is enlarged to {mask.shape[1]} × {mask.shape[0]}."
    st.caption(words)
    if (problem := missed(mask, settings, vae_scale_factor)) is not None:
        st.caption(f":orange[{plain(f'The mask {problem.reason}')}]")


def _drawn(width: int, height: int) -> np.ndarray:
    count = bounded("Shapes", 1, MOST_SHAPES, 1, key=f"{PREFIX}_shapes", **BOUND)
    shapes: list[MaskShape] = []
    for index in range(count):
        with st.container(border=count > 1, gap="xsmall"):
            kind = st.segmented_control(
                f"Shape {index + 1}",
                list(KINDS),
                default=KINDS[0],
                required=True,
                key=f"{PREFIX}_shape_{index}",
                label_visibility="collapsed",
                **BOUND,
            )
            left, right = _range("Left to right", f"shape_across_{index}")
            top, bottom = _range("Top to bottom", f"shape_down_{index}")
        shapes.append(
            MaskShape(
                kind="rectangle" if kind == KINDS[1] else "ellipse",
                left=left,
                top=top,
                right=right,
                bottom=bottom,
            )
        )
    return draw_mask(shapes, width, height)


def _range(label: str, name: str) -> tuple[float, float]:
    low, high = st.slider(label, 0, 100, (25, 75), key=f"{PREFIX}_{name}", format="%d %%", **BOUND)
    return low / 100, high / 100


def _uploaded(width: int, height: int, *, is_grey: bool) -> np.ndarray | None:
    st.file_uploader(
        "Mask",
        type=["png", "jpg", "jpeg", "webp"],
        key=f"{PREFIX}:mask_file",
        max_upload_size=MAX_BYTES // 2**20,
        help="White is inpainted, black is kept. It is stretched to the frame.",
        label_visibility="collapsed",
        on_change=_take,
    )
    data: bytes | None = st.session_state.get(FILE)
    if data is None and (kept := _kept(width, height)) is not None:
        st.caption("The mask of an earlier run.")
        return kept
    if data is None:
        st.caption("White is inpainted, black is kept.")
        return None
    try:
        return prepare_mask(open_picture(data), width, height, is_grey=is_grey)
    except PictureError as error:
        show_error("This mask cannot be used", str(error))
        return None


def _beginning(width: int, height: int, *, is_grey: bool) -> np.ndarray | None:
    """What the brush begins from: the mask that was uploaded, else that of an earlier run."""
    if (data := st.session_state.get(FILE)) is None:
        return _kept(width, height)
    try:
        return prepare_mask(open_picture(data), width, height, is_grey=is_grey)
    except PictureError:
        return None  # which is said where it was uploaded


def _kept(width: int, height: int) -> np.ndarray | None:
    """The mask that an earlier run was made with, where it still fits the frame: as it was before
    the switch inverted it, which is known by where the switch stood when it was first seen here.
    """
    digest = held_source(PREFIX)["mask_image"]
    try:
        kept = open_runtime().store.inputs.read(digest)
    except InputError:
        return None
    stood: dict[str, bool] = st.session_state.setdefault(INVERTED_BEFORE, {})
    was_inverted = stood.setdefault(digest, bool(st.session_state.get(f"{PREFIX}_inverted")))
    if kept.shape != (height, width):
        return None
    return 255 - kept if was_inverted else kept


def _take() -> None:
    """Kept beside the widget, which forgets its file when another page is looked at."""
    file = st.session_state[f"{PREFIX}:mask_file"]
    if file is None:
        st.session_state.pop(FILE, None)
    else:
        st.session_state[FILE] = file.getvalue()
    begin_anew()
