"""The home page's parts."""

from __future__ import annotations

import streamlit as st

from core.runs.store.store import StoredImage
from ui.catalog import CATALOG, GALLERY, GENERATE, HOME
from ui.runtime import Runtime
from ui.send import send
from ui.views import ago, picture_bytes, plain, show_empty, show_picture

RECENT = 6


def show_intro() -> None:
    st.title("See what diffusion does", anchor=False)
    st.markdown(
        "A light table for Stable Diffusion. Put pictures side by side to see what each setting "
        "does, watch each of them being denoised, and export them with all their settings. What is "
        "shown is exactly what the sampler did.",
        width=640,
    )


def show_cards() -> None:
    """One card a page: its picture, what it is for, and the way there."""
    grid = st.grid(3, min_column_width=260, gap="medium")
    for page in CATALOG:
        if page is HOME:
            continue
        with grid.cell(), st.container(border=True, height="stretch", gap="small"):
            if page.picture.is_file():
                st.image(page.picture, width="stretch", alt=f"The page {page.title}")
            st.page_link(page.path, label=f"**{page.title}**", icon=page.icon)
            st.caption(page.summary)


def show_recent(runtime: Runtime) -> None:
    """The newest pictures, each a click from the Gallery."""
    st.subheader("Latest pictures", anchor=False)
    images = runtime.store.search(limit=RECENT)
    if not images:
        show_empty(
            GENERATE.icon,
            "No pictures yet",
            "The bundled model is ready: a first picture takes a second or two.",
        )
        return
    grid = st.grid(RECENT, min_column_width=120, gap="small")
    for image in images:
        with grid.cell(), st.container(gap="xxsmall"):
            _show_small(runtime, image)


def _show_small(runtime: Runtime, image: StoredImage) -> None:
    if (data := picture_bytes(runtime.store, image.digest)) is not None:
        show_picture(data, image)
    opened = st.button(
        ago(image.created_at),
        key=f"home:open:{image.digest}",
        type="tertiary",
        icon=":material/open_in_full:",
        help="Open in the Gallery",
    )
    if opened:
        send(runtime, image, GALLERY)


def show_machine(runtime: Runtime) -> None:
    """Which model is in memory, on what, and where the pictures are kept."""
    status = runtime.queue.worker_status()
    st.subheader("On this machine", anchor=False)
    grid = st.grid("auto", min_column_width=200, gap="small")
    grid.metric("Model", plain(status.model or "starting"))
    device = f"{status.device} · {status.dtype}" if status.device else "starting"
    grid.metric("Device", plain(device))
    grid.metric("Stored pictures", f"{runtime.store.count():,}")
    st.caption(f"Stored in {plain(str(runtime.store.folder))}")
