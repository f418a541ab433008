"""A finished picture with all that can be done with it."""

from __future__ import annotations

import streamlit as st

from core.diffusion.models.load import ModelError, ModelInfo, describe
from core.exports.files import picture_name
from core.output.numbers.metrics import PUBLISHED_CLIPS
from core.output.programs.snippet import snippet
from core.output.texts.infotext import a1111_text
from core.runs.store.store import StoredImage
from ui.catalog import Page
from ui.runtime import Runtime
from ui.send import send_menu
from ui.views import duration, picture_bytes


def show_actions(runtime: Runtime, image: StoredImage, here: Page) -> None:
    """Download (the stored file, byte for byte) and "Send to"."""
    data = picture_bytes(runtime.store, image.digest)
    if data is not None:
        st.download_button(
            "Download PNG",
            data,
            file_name=picture_name(image.digest),
            mime="image/png",
            key=f"download:{image.digest}",
            icon=":material/download:",
            on_click="ignore",
        )
    for field, name in (("init_image", "Source"), ("mask_image", "Mask")):
        if digest := getattr(image.settings, field):
            _source_button(runtime, image, digest, name)
    send_menu(runtime, image, here)


def _source_button(runtime: Runtime, image: StoredImage, digest: str, name: str) -> None:
    """What the program beside the settings opens: a picture, or latents."""
    kept = runtime.store.inputs.file(digest)
    if kept is None:
        st.caption(f"{name}: deleted")
        return
    st.download_button(
        name,
        kept.read_bytes,
        file_name=f"{name.lower()}{kept.suffix}",
        key=f"download:{name}:{image.digest}",
        icon=":material/download:",
        on_click="ignore",
        help="The Python program opens this file.",
    )


def show_facts(image: StoredImage) -> None:
    """The few numbers a person looks for first."""
    settings = image.settings
    facts = [
        ("Seed", str(settings.seed)),
        ("Computing time", duration(image.seconds)),
        ("CLIP score", "–" if image.clip_score is None else f"{image.clip_score:.1f}"),
        ("Size", f"{settings.width} × {settings.height}"),
    ]
    with st.container(horizontal=True, gap="medium"):
        for name, value in facts:
            help = _share(image) if name == "Computing time" else _HELP.get(name)
            st.metric(name, value, width="content", help=help)


def _share(image: StoredImage) -> str:
    """Which of the batch's seconds are the picture's."""
    rows = image.computed.get("rows", 0)
    return (
        "Of each step its part, by UNet rows, and its own encoding and decoding; waiting is not "
        f"counted. Up to {rows} rows were in the batch."
    )


def loadable(source: str) -> tuple[str, ModelInfo | None]:
    """What diffusers takes for a model: its folder or file here, or its hub id; and what the
    model is, None where it is not here.
    """
    try:
        info = describe(source)
    except ModelError:
        return source, None
    return source if info.revision else str(info.file or info.folder), info


def show_settings(image: StoredImage) -> None:
    """Everything that made the picture, to copy: as text and as a program."""
    settings = image.settings
    as_text, as_program, as_run = st.tabs(["Settings", "Python", "How it was computed"])
    with as_text:
        text = a1111_text(settings, image.model_name, image.model_fingerprint[:10])
        st.code(text, language=None, wrap_lines=True)
        st.caption("As AUTOMATIC1111 writes it. The downloaded file contains this too.")
    with as_program:
        st.code(snippet(settings, *loadable(settings.model)), language="python")
        st.caption(_likeness(image))
    with as_run:
        lines = [f"{name}: {value}" for name, value in _flat(image.computed).items()]
        st.code("\n".join([f"digest: {image.digest}", *lines]), language=None, wrap_lines=True)


def _likeness(image: StoredImage) -> str:
    """How the program's picture compares: in a batch, floats are summed in another order."""
    rows, dtype = image.computed.get("rows", 0), image.computed.get("dtype", "")
    if image.computed.get("strict") or rows <= 2:
        return "Plain diffusers: makes the same picture without this app."
    near = "up to 2/255 from" if dtype == "float32" else f"in {dtype}, close to"
    return f"Plain diffusers. Computed in a batch of {rows} rows: {near} the program's picture."


_HELP = {
    "CLIP score": "How well the picture fits its prompt according to CLIP: 100 times the cosine "
    f"of the two embeddings. The bundled model brings its own; for others {PUBLISHED_CLIPS[1]} is "
    "asked, where it is in the Hugging Face cache.",
}


def _flat(values: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name} {inner}": inner_value for inner, inner_value in value.items()}
        else:
            flat[name] = value
    return flat
