"""Pictures as the values of an axis: uploaded together, shown small, fitted to the run's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from core.diffusion.recipe.images import (
    MAX_BYTES,
    InputError,
    PictureError,
    ResizeMode,
    open_picture,
    prepare,
)
from core.diffusion.recipe.source_names import shown_source
from core.diffusion.settings import GenerationSettings
from core.sweeps.axis import Axis, row_of
from core.sweeps.sweep import SweepProblem
from core.sweeps.values import format_values
from ui.catalog import SWEEP
from ui.runtime import open_runtime
from ui.settings.source_controls import stored_picture
from ui.sweep_link import key
from ui.views import plain, show_error

PICTURES = "init_image"
"""The axis whose values are pictures."""

PREFIX = SWEEP.prefix
TYPES = ["png", "jpg", "jpeg", "webp"]
FITS: Mapping[str, ResizeMode] = {"Crop": "crop", "Pad": "pad", "Stretch": "stretch"}
SAMPLES = Path(__file__).parents[1] / "assets" / "samples"
FIRST_SAMPLES = ("apple", "face")
MOST_SEEN = 24
MOST_KEPT = 64  # uploaded files of a session
SEEN = 56  # pixels of a picture on the screen

_UPLOADED = f"{PREFIX}:uploaded pictures"
"""Digest -> file as it was uploaded, so that another size is made from the whole picture."""


def has_pictures(axes: Mapping[str, Axis]) -> bool:
    """Return whether the cells start from pictures that an axis brings."""
    return any(part.name == PICTURES for axis in axes.values() for part in axis.parts())


def in_words(name: str, values: str) -> str:
    """The values of an axis as typed, of pictures their names."""
    if name != PICTURES:
        return values
    return ", ".join(shown_source(digest.strip()) for digest in values.split(","))


def sample_values() -> str:
    """Values to begin with: two samples at the size of the run, kept, as text."""
    inputs, (width, height) = open_runtime().store.inputs, _size()
    found: list[str] = []
    for name in FIRST_SAMPLES:
        path = SAMPLES / f"{name}.png"
        array = prepare(Image.open(path), width, height, "crop")
        found.append(inputs.keep(array, path.name))
    return format_values(found)


def choose_pictures(name: str, digests: tuple[str, ...]) -> None:
    """Upload the values of the axis `name` (a side, or what moves along with it), and see them."""
    st.file_uploader(
        "Pictures",
        type=TYPES,
        accept_multiple_files=True,
        key=f"{PREFIX}:pictures:{name}",
        max_upload_size=MAX_BYTES // 2**20,
        help="Several PNG, JPEG or WebP pictures, each up to 20 MB and 40 megapixels: one value a "
        "picture. They replace those listed, and are kept on this machine at the run's size.",
        label_visibility="collapsed",
        on_change=_take,
        args=(name,),
    )
    for file, reason in st.session_state.get(_bad(name), ()):
        show_error(f"{plain(file)} cannot be used", reason)
    if st.session_state.get(f"{PREFIX}:pictures:{name}"):
        st.segmented_control(
            "Fit",
            list(FITS),
            default="Crop",
            required=True,
            key=f"{PREFIX}:fit:{name}",
            help="Crop fills the frame, pad shows all of it on white, stretch distorts it.",
            on_change=_take,
            args=(name,),
        )
    store = open_runtime().store
    with st.container(horizontal=True, gap="xsmall"):
        for digest in digests[:MOST_SEEN]:
            if (picture := stored_picture(store, digest)) is not None:
                alt = shown_source(digest)
                st.image(picture, width=SEEN, output_format="PNG", alt=alt)


def fitted(
    axes: Mapping[str, Axis], base: GenerationSettings
) -> tuple[dict[str, Axis], list[SweepProblem]]:
    """The axes with every picture at the size of `base`, and those that are not here."""
    problems: list[SweepProblem] = []

    def fit(axis: Axis) -> Axis:
        if axis.linked is not None:
            axis = replace(axis, linked=fit(axis.linked))
        if axis.name != PICTURES:
            return axis
        values: list[str] = []
        for digest in axis.values:
            try:
                values.append(_at_size(str(digest), base.width, base.height))
            except (InputError, PictureError) as error:
                row = row_of(axis)
                problems.append(
                    SweepProblem(axis=row.label, value=row.show(digest), reason=str(error))
                )
        return axis if problems else replace(axis, values=tuple(values))

    return {side: fit(axis) for side, axis in axes.items()}, problems


def _at_size(digest: str, width: int, height: int) -> str:
    """The digest of this source at a size: its own where it has that size, or holds latents."""
    inputs = open_runtime().store.inputs
    if not inputs.holds(digest):
        raise InputError("is not kept here: upload the picture")
    kept = inputs.read(digest)
    if kept.dtype != np.uint8:
        return digest
    if kept.ndim != 3:
        raise PictureError("is a mask, not a picture")
    if kept.shape[:2] == (height, width):
        return digest
    data: tuple[bytes, ResizeMode] | None = _uploaded().get(digest)
    picture = open_picture(data[0]) if data else Image.fromarray(kept)
    array = prepare(picture, width, height, data[1] if data else "crop")
    name = shown_source(digest)
    found = inputs.keep(array, "" if name == digest[:12] else name)
    if data:
        _uploaded()[found] = data
    return found


def _take(name: str) -> None:
    """A callback: the files that are uploaded now are the values; what is wrong with the others
    is said one by one.
    """
    files = st.session_state.get(f"{PREFIX}:pictures:{name}") or []
    mode = FITS.get(str(st.session_state.get(f"{PREFIX}:fit:{name}")), "crop")
    inputs, (width, height) = open_runtime().store.inputs, _size()
    bad: list[tuple[str, str]] = []
    found: list[str] = []
    for file in files:
        try:
            array = prepare(open_picture(file.getvalue()), width, height, mode)
        except PictureError as error:
            bad.append((file.name, str(error)))
            continue
        digest = inputs.keep(array, file.name)
        _uploaded()[digest] = (file.getvalue(), mode)
        found.append(digest)
    st.session_state[_bad(name)] = bad
    if found or not files:
        st.session_state[key(f"{name}_values")] = format_values(found)


def _bad(name: str) -> str:
    return f"{PREFIX}:bad pictures:{name}"


def _uploaded() -> dict[str, tuple[bytes, ResizeMode]]:
    kept: dict[str, tuple[bytes, ResizeMode]] = st.session_state.setdefault(_UPLOADED, {})
    for old in list(kept)[:-MOST_KEPT]:
        del kept[old]
    return kept


def _size() -> tuple[int, int]:
    """The size that the controls have now."""
    default = GenerationSettings()
    width, height = (st.session_state.get(key(side)) for side in ("width", "height"))
    return int(width or default.width), int(height or default.height)
