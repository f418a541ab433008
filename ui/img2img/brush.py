"""A mask that is painted over the source, with mouse, pen or finger."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.components.v2 import component

from core.diffusion.recipe.images import PictureError, open_picture, prepare_mask
from ui.catalog import IMAGE_TO_IMAGE
from ui.img2img.source import Source
from ui.runs.media import inline, served
from ui.views import show_error

PREFIX = IMAGE_TO_IMAGE.prefix
PAINTED = f"{PREFIX}:painted"
"""The PNG that the browser sent last, in the session: it outlives its page."""

TURN = f"{PREFIX}:brush_turn"
_FOLDER = Path(__file__).parents[1] / "components"

_brush = component(
    "lightbox_brush",
    html=(_FOLDER / "brush.html").read_text(encoding="utf-8"),
    css="".join(
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("slider.css", "brush.css")
    ),
    js=(_FOLDER / "brush.js").read_text(encoding="utf-8"),
)


def paint_mask(source: Source, begin: np.ndarray | None, *, is_grey: bool) -> np.ndarray | None:
    """A mask of the source's frame, uint8 (height, width), painted on from `begin`; None where
    nothing of it is white.
    """
    width, height = source.width, source.height
    made = _painted(width, height, is_grey=is_grey)
    mask = begin if made is None else made
    if mask is None:
        mask = np.zeros((height, width), np.uint8)
    # What the browser has is the newest, unless it comes from elsewhere: the turn says so.
    turn = f"{st.session_state.get(TURN, 0)} {width}x{height}"
    picture = "" if source.picture is None else served(_png(source.picture), f"{PREFIX}:brush")
    _brush(
        key=f"{PREFIX}:brush",
        data={
            "picture": picture,
            "mask": inline(_png(Image.fromarray(mask))),
            "turn": turn,
            "width": width,
            "height": height,
            "isGrey": is_grey,
        },
        on_painted_change=_take,
    )
    return mask if mask.any() else None


def begin_anew() -> None:
    """Let the next painting begin from the mask that it is given, and not from the last one."""
    st.session_state.pop(PAINTED, None)
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1


def _painted(width: int, height: int, *, is_grey: bool) -> np.ndarray | None:
    data: bytes | None = st.session_state.get(PAINTED)
    if data is None:
        return None
    try:
        picture = open_picture(data)
    except PictureError as error:
        show_error("The painted mask cannot be used", f"{error} Paint it again.")
        return None
    if picture.size != (width, height):
        was = f"{picture.width} × {picture.height}"
        st.caption(f"It was painted at {was} and is stretched to {width} × {height}.")
    return prepare_mask(picture, width, height, is_grey=is_grey)


def _take() -> None:
    text: Any = st.session_state[f"{PREFIX}:brush"].painted
    try:
        data = base64.b64decode(str(text).partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        data = b""
    st.session_state[PAINTED] = data


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
