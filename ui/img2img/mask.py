"""The mask of inpainting: rectangles and ellipses with sliders, or an uploaded picture."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.diffusion.recipe.images import (
    MAX_BYTES,
    InputError,
    MaskShape,
    PictureError,
    draw_mask,
    open_picture,
    prepare_mask,
)
from ui.catalog import IMAGE_TO_IMAGE
from ui.links import BOUND
from ui.runtime import open_runtime
from ui.settings.fields import bounded
from ui.settings.source_controls import held_source
from ui.views import show_error

PREFIX = IMAGE_TO_IMAGE.prefix
WAYS = ("Draw", "Upload")
KINDS = ("Ellipse", "Rectangle")
MOST_SHAPES = 4
FILE = f"{PREFIX}:mask"


def mask_form(width: int, height: int) -> np.ndarray | None:
    """uint8 (height, width), 255 where the picture is inpainted; None for the whole picture."""
    if not st.toggle(
        "Inpaint part of the picture",
        key=f"{PREFIX}_masked",
        help="Inpainting with any model: after each step, what is outside the mask is put back "
        "from the source, with as much noise as the next step expects.",
        **BOUND,
    ):
        return None
    way = st.segmented_control(
        "Mask",
        list(WAYS),
        default=WAYS[0],
        required=True,
        key=f"{PREFIX}_mask_from",
        label_visibility="collapsed",
        **BOUND,
    )
    mask = _uploaded(width, height) if way == WAYS[1] else _drawn(width, height)
    if mask is None:
        return None
    if st.toggle("Invert the mask", key=f"{PREFIX}_inverted", **BOUND):
        mask = 255 - mask
    share = float((mask > 0).mean())
    st.caption(f"{share:.0%} of the picture is inpainted. The mask has the latents' resolution.")
    return mask


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


def _uploaded(width: int, height: int) -> np.ndarray | None:
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
        return prepare_mask(open_picture(data), width, height)
    except PictureError as error:
        show_error("This mask cannot be used", str(error))
        return None


def _kept(width: int, height: int) -> np.ndarray | None:
    """The mask that an earlier run was made with, where it still fits the frame."""
    try:
        kept = open_runtime().store.inputs.read(held_source(PREFIX)["mask_image"])
    except InputError:
        return None
    return kept if kept.shape == (height, width) else None


def _take() -> None:
    """Kept beside the widget, which forgets its file when another page is looked at."""
    file = st.session_state[f"{PREFIX}:mask_file"]
    if file is None:
        st.session_state.pop(FILE, None)
    else:
        st.session_state[FILE] = file.getvalue()
