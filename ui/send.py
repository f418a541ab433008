"""Sending a picture or a sweep from one page to another, as CATALOG says which page takes what."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.diffusion.settings import GenerationSettings
from core.runs.store.store import StoredImage
from core.sweeps.drawn import as_typed
from core.sweeps.link import to_word
from core.sweeps.sweep import Sweep
from ui.catalog import (
    CATALOG,
    FILM,
    GALLERY,
    GENERATE,
    IMAGE_TO_IMAGE,
    LATENTS,
    STEPS,
    SWEEP,
    Page,
)
from ui.links import MOST_RUNS, put_runs, put_settings
from ui.runtime import Runtime
from ui.sweep_link import put_sweep

OPEN = f"{GALLERY.prefix}_open"
"""The digest of the picture that the Gallery shows opened."""

TAKEN_ALONG = (
    "model",
    "loras",
    "vae",
    "prompt",
    "negative_prompt",
    "guidance_scale",
    "num_inference_steps",
    "scheduler",
    "width",
    "height",
)
"""What Image to image takes over with a picture's latents: only its own model can read them."""


def targets(here: Page) -> list[Page]:
    """The pages that "Send to" offers on the page `here`."""
    return [page for page in CATALOG if page.receives and page is not here]


def send_menu(runtime: Runtime, image: StoredImage, here: Page) -> None:
    """The "Send to" menu of one picture. The settings of one that was made from another picture
    belong to Image to image, and nowhere else but in a sweep.
    """
    has_source = bool(image.settings.init_image)
    pages = [page for page in targets(here) if not (has_source and page is STEPS)]
    chosen = st.menu_button(
        "Send to",
        [page.path for page in pages],
        key=f"send:{image.digest}",
        icon=":material/send:",
        format_func=lambda path: _label(path, has_source=has_source),
    )
    if chosen:
        send(runtime, image, next(page for page in CATALOG if page.path == chosen))


def send(runtime: Runtime, image: StoredImage, page: Page) -> None:
    """Opens `page` with this picture or its settings.

    In the session and in the address: a parameter at its default is dropped from the address, so
    that alone would leave what the page's controls held before.
    """
    st.session_state.pop(OPEN, None)  # the Gallery's dialog is in its address
    if page is IMAGE_TO_IMAGE:
        query = start_from(image)
    elif page is GENERATE and image.settings.init_image:
        page, query = IMAGE_TO_IMAGE, make_again(image.settings)
    elif page.receives == "settings":
        one = {"count": 1} if page is GENERATE else {}
        query = put_settings(page.prefix, {**as_typed(image.settings).to_dict(), **one})
        st.session_state[f"{page.prefix}:job"] = None  # what was on its stage makes room
    elif page is GALLERY:
        query = {OPEN: image.digest}
        st.session_state[OPEN] = image.digest
    else:
        query = put_runs(page.prefix, [image.digest])
    st.switch_page(page.path, query_params=query)


def send_sweep(sweep: Sweep) -> None:
    """Open the Sweep page with this sweep."""
    # Without a mapping Streamlit would clear the address, which what is bound to it forbids.
    st.switch_page(SWEEP.path, query_params=put_sweep(sweep))


def send_film(sweep: Sweep) -> None:
    """Open the Film page with the film of this sweep."""
    query = {f"{FILM.prefix}_sweep": to_word(sweep), f"{FILM.prefix}_source": "A sweep"}
    for name, value in query.items():
        st.session_state[name] = value
    st.switch_page(FILM.path, query_params=query)


def send_runs(runtime: Runtime, digests: Sequence[str]) -> None:
    """Open the Latents page with the runs of these pictures in one figure."""
    st.switch_page(LATENTS.path, query_params=choose_runs(runtime, LATENTS.prefix, digests))


def choose_runs(runtime: Runtime, prefix: str, digests: Sequence[str]) -> dict[str, str]:
    """Make a page show those that are stored, in their order, and say how many are left out.

    Returns them for the address, as `put_runs` does.
    """
    stored = runtime.store.holds(digests)
    kept = [digest for digest in digests if digest in stored]
    if not kept:
        st.session_state[f"{prefix}:no_sweep"] = "None of its cells is stored any more."
        return {}
    shown = kept[:MOST_RUNS]
    if len(shown) < len(digests):
        why = (
            f"a page shows up to {MOST_RUNS} runs in one figure"
            if len(shown) < len(kept)
            else "the others are not computed yet, or were deleted"
        )
        said = f"{len(shown)} of the {len(digests)} cells of this sweep are shown: {why}."
        st.session_state[f"{prefix}:said"] = (shown, said)
    return put_runs(prefix, kept)


def start_from(image: StoredImage) -> dict[str, str]:
    """Set Image to image to this picture's own latents; return what the address says."""
    prefix = IMAGE_TO_IMAGE.prefix
    typed = as_typed(image.settings)
    settings = {name: getattr(typed, name) for name in TAKEN_ALONG}
    query = put_settings(prefix, {**settings, "from": "Stored", "start": "Its own latents"})
    return query | put_runs(prefix, [image.digest])


def make_again(settings: GenerationSettings) -> dict[str, str]:
    """Set Image to image to the settings of a picture that was made from another."""
    prefix = IMAGE_TO_IMAGE.prefix
    for uploaded in ("upload", "mask", "painted"):
        st.session_state.pop(f"{prefix}:{uploaded}", None)
    masked = bool(settings.mask_image)
    mask = {"masked": masked, "mask_from": "Upload", "inverted": False} if masked else {}
    typed = as_typed(settings).to_dict()
    return put_settings(prefix, {"masked": False, **typed, "from": "Yours", **mask})


def _label(path: str, *, has_source: bool) -> str:
    page = next(page for page in CATALOG if page.path == path)
    if has_source and page is GENERATE:
        return f"{IMAGE_TO_IMAGE.icon} {IMAGE_TO_IMAGE.title}: its settings"
    return f"{page.icon} {page.title}"
