"""Settings from a picture that was dropped on the page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.diffusion.recipe.images import MAX_BYTES
from core.diffusion.settings import GenerationSettings
from core.output.texts.infotext import InfotextError, ReadBack, a1111_text, read_png
from ui.catalog import IMAGE_TO_IMAGE
from ui.runtime import Runtime
from ui.send import make_again
from ui.views import plain, show_error

TYPES = ["png", "jpg", "jpeg", "webp"]


def drop_zone(runtime: Runtime, *, use: Callable[[ReadBack, bool], None]) -> None:
    """Read a picture's settings and offer them; `use(found, with_seed)` is called on a click."""
    file = st.file_uploader(
        "Drop a picture made here or by another tool",
        type=TYPES,
        key="generate:drop",
        max_upload_size=MAX_BYTES // 2**20,
        help="PNG, JPEG or WebP, up to 20 MB. The picture is read, not kept.",
    )
    if file is None:
        return
    try:
        found = read_png(file.getvalue())
    except InfotextError as error:
        show_error("This file cannot be used", str(error), "Drop a PNG, JPEG or WebP picture.")
        return
    if found.settings is None:
        show_error("No settings in this picture", " ".join(found.notes))
        for place, text in found.texts:
            st.caption(plain(place))
            st.code(text, language=None, wrap_lines=True)
        return
    st.code(a1111_text(found.settings, "", ""), language=None, wrap_lines=True)
    for note in found.notes:
        st.caption(plain(note))
    if found.settings.init_image:
        _offer_source(runtime, found.settings)
        return
    with st.container(horizontal=True):
        st.button(
            "Use all", key="generate:use_all", type="primary", on_click=use, args=(found, True)
        )
        st.button("All but the seed", key="generate:use_most", on_click=use, args=(found, False))


def _offer_source(runtime: Runtime, settings: GenerationSettings) -> None:
    """A picture that was made from another: its settings mean nothing without that one."""
    if not runtime.store.inputs.holds(settings.init_image):
        st.info(
            "It was made from another picture, which is not stored here: its settings alone would "
            "give something else.",
            icon=IMAGE_TO_IMAGE.icon,
        )
    elif st.button(
        f"Open in {IMAGE_TO_IMAGE.title}", key="generate:open_source", icon=IMAGE_TO_IMAGE.icon
    ):
        st.switch_page(IMAGE_TO_IMAGE.path, query_params=make_again(settings))
