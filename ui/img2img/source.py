"""Where the source comes from: a sample, one's own picture, or a stored one; and how it fits."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.components.v2 import component

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.images import (
    MAX_BYTES,
    InputError,
    PictureError,
    ResizeMode,
    input_digest,
    open_picture,
    prepare,
)
from core.diffusion.recipe.settings_table import SETTINGS
from core.runs.store.store import StoreError
from ui.catalog import IMAGE_TO_IMAGE
from ui.help import help_of
from ui.img2img.samples import SAMPLES
from ui.links import BOUND, put_runs
from ui.runs.recording import needs_tensors
from ui.runs.run_picker import pick_runs
from ui.runtime import Runtime
from ui.settings.source_controls import held_source
from ui.views import plain, show_error

PREFIX = IMAGE_TO_IMAGE.prefix
KINDS = ("Sample", "Yours", "Stored")
FITS: dict[ResizeMode, str] = {"crop": "Crop", "pad": "Pad", "stretch": "Stretch"}
STARTS = ("Its own latents", "Its pixels")
UPLOAD = f"{PREFIX}:upload"
TYPES = ["png", "jpg", "jpeg", "webp"]
SEEN = 120  # pixels of a sample on the screen
_FOLDER = Path(__file__).parents[1] / "components"

_paste = component(
    "lightbox_paste",
    html=(_FOLDER / "paste.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "paste.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "paste.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What image-to-image starts from: a prepared picture uint8 (H, W, 3), or the latents
    float32 (C, h, w) of a picture made here, with that picture.
    """

    array: np.ndarray
    width: int
    height: int
    picture: Image.Image | None

    @property
    def digest(self) -> str:
        return input_digest(self.array)

    @property
    def is_latents(self) -> bool:
        return self.array.dtype != np.uint8


@dataclass(frozen=True, kw_only=True, eq=False)
class _Opened:
    """A source before it is fitted to the frame."""

    picture: Image.Image | None = None
    latents: np.ndarray | None = None


def choose_source(runtime: Runtime, model: ModelInfo, width: int, height: int) -> Source | None:
    """The source for `model` in a frame of that size; None where there is none, which is said."""
    kind = st.segmented_control(
        "Start from",
        list(KINDS),
        default=KINDS[0],
        required=True,
        key=f"{PREFIX}_from",
        label_visibility="collapsed",
        **BOUND,
    )
    if kind == KINDS[1]:
        opened = _own(runtime)
    elif kind == KINDS[2]:
        opened = _stored(runtime, model)
    else:
        opened = _sample()
    if opened is None:
        return None
    if opened.latents is not None:
        rows, columns = opened.latents.shape[1:]
        factor = model.vae_scale_factor
        return Source(
            array=opened.latents,
            width=columns * factor,
            height=rows * factor,
            picture=opened.picture,
        )
    if opened.picture is None:
        return None
    array = _fit(opened.picture, width, height)
    return Source(array=array, width=width, height=height, picture=Image.fromarray(array))


def _sample() -> _Opened:
    names = [sample.name for sample in SAMPLES]
    titles = {sample.name: sample.title for sample in SAMPLES}
    chosen = st.pills(
        "Sample",
        names,
        default=names[0],
        required=True,
        key=f"{PREFIX}_sample",
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        **BOUND,
    )
    sample = next((one for one in SAMPLES if one.name == chosen), SAMPLES[0])
    return _Opened(picture=Image.open(sample.path).convert("RGB"))


def _own(runtime: Runtime) -> _Opened | None:
    """Uploaded or pasted; else, after a reload, what the last run started from."""
    st.file_uploader(
        "Your picture",
        type=TYPES,
        key=f"{PREFIX}:file",
        max_upload_size=MAX_BYTES // 2**20,
        help=help_of(
            SETTINGS["init_image"],
            "PNG, JPEG or WebP, up to 20 MB and 40 megapixels. It stays on this machine, and is "
            "kept with the first picture that is made from it.",
        ),
        label_visibility="collapsed",
        on_change=_take_uploaded,
    )
    _paste(key=f"{PREFIX}:paste", data={"limit": MAX_BYTES}, on_pasted_change=_take_pasted)
    data: bytes | None = st.session_state.get(UPLOAD)
    if data is not None:
        try:
            return _Opened(picture=_read(data))
        except PictureError as error:
            show_error("This picture cannot be used", str(error))
            return None
    held = held_source(PREFIX)["init_image"]
    if not held:
        return None
    try:
        kept = runtime.store.inputs.read(held)
    except InputError as error:
        show_error("The source picture is missing", str(error))
        return None
    st.caption("The source of an earlier run, as it was prepared.")
    if kept.dtype != np.uint8:
        return _Opened(latents=kept)
    return _Opened(picture=Image.fromarray(kept).convert("RGB"))


def _take_uploaded() -> None:
    """Kept beside the widget, which forgets its file when another page is looked at."""
    file = st.session_state[f"{PREFIX}:file"]
    if file is None:
        st.session_state.pop(UPLOAD, None)
    else:
        st.session_state[UPLOAD] = file.getvalue()


def _take_pasted() -> None:
    text: Any = st.session_state[f"{PREFIX}:paste"].pasted
    try:
        st.session_state[UPLOAD] = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        st.session_state[UPLOAD] = b""


@st.cache_data(show_spinner=False, max_entries=4)
def _read(data: bytes) -> Image.Image:
    return open_picture(data)


def _stored(runtime: Runtime, model: ModelInfo) -> _Opened | None:
    images = pick_runs(runtime, PREFIX, several=False)
    if not images:
        return None
    image = images[0]
    # Pinned, also where it was not chosen but the newest: what is made from it will be newer.
    put_runs(PREFIX, [image.digest])
    if image.model_fingerprint == model.fingerprint:
        start = st.segmented_control(
            "Start from",
            list(STARTS),
            default=STARTS[0],
            required=True,
            key=f"{PREFIX}_start",
            help="The latents that its run ended with are used directly: nothing is lost in the "
            "VAE's encoder.",
            **BOUND,
        )
    else:
        start = STARTS[1]
        st.caption(
            f"Its pixels are used. Its latents are those of {plain(image.model_name)}: another "
            "model's VAE would decode them to another picture."
        )
    try:
        picture = open_picture(runtime.store.image_bytes(image.digest))
    except (StoreError, PictureError) as error:
        show_error("This picture cannot be used", str(error))
        return None
    if start == STARTS[1]:
        return _Opened(picture=picture)
    if (trajectory := needs_tensors(runtime, image, at_once=True)) is None:
        return None
    kept = trajectory.latents
    if image.settings.snapshot and trajectory.pred_original_sample is not None:
        kept = trajectory.pred_original_sample
    if kept is None:
        return None
    return _Opened(picture=picture, latents=np.ascontiguousarray(kept[-1], dtype=np.float32))


def _fit(picture: Image.Image, width: int, height: int) -> np.ndarray:
    """How the picture comes into the frame. Where it fits already there is nothing to choose."""
    if picture.size == (width, height):
        return prepare(picture, width, height, "crop")
    chosen = st.segmented_control(
        "Fit",
        list(FITS),
        default="crop",
        required=True,
        key=f"{PREFIX}_fit",
        format_func=FITS.__getitem__,
        help="Crop fills the frame, pad shows all of it on white, stretch distorts it.",
        **BOUND,
    )
    mode: ResizeMode = chosen if chosen in FITS else "crop"
    is_wider = picture.width * height > picture.height * width
    across = down = 50
    if mode == "crop" and picture.width * height != picture.height * width:
        side = "across" if is_wider else "down"
        moved = st.slider(
            "Left to right" if is_wider else "Top to bottom",
            0,
            100,
            50,
            key=f"{PREFIX}_{side}",
            help="Which part of the picture the frame shows.",
            **BOUND,
        )
        across, down = (moved, 50) if is_wider else (50, moved)
    return prepare(picture, width, height, mode, (across / 100, down / 100))
