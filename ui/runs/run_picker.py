"""Choosing stored pictures whose runs a page looks into: one, or several in one figure."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.output.figures.step_runs import short_labels
from core.runs.store.index import Filter
from core.runs.store.store import StoredImage
from ui.catalog import GENERATE
from ui.frame import safe
from ui.links import MOST_RUNS, put_runs
from ui.runs.recording import needs_tensors, recorded
from ui.runs.run_sweeps import show_sweeps
from ui.runtime import Runtime
from ui.views import picture_bytes, plain, show_empty, show_picture

__all__ = ["MOST_RUNS", "needs_tensors", "pick_runs", "put_runs", "recorded"]

OFFERED = 12
STRIP = 12
THUMBNAIL = 64  # pixels on the screen


def pick_runs(runtime: Runtime, prefix: str, *, several: bool) -> list[StoredImage]:
    """The chosen pictures, in the order of choice, with a strip of them and a way to choose.

    The address names them in `<prefix>_images`, digests with commas between. Without a choice
    it is the newest picture; [] only where nothing is stored, and then a way to Generate.
    """
    newest = runtime.store.search(limit=1)
    if not newest:
        show_empty(
            GENERATE.icon,
            "No pictures yet",
            "Every picture is recorded while it is made: generate one, and see its steps here.",
        )
        st.page_link(GENERATE.path, label="Generate one", icon=GENERATE.icon)
        return []
    chosen = _chosen(runtime, prefix, most=MOST_RUNS if several else 1) or newest
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _show_strip(runtime, prefix, chosen, several=several)
        _choice(runtime, prefix, chosen, several=several)
    return chosen


def _chosen(runtime: Runtime, prefix: str, *, most: int) -> list[StoredImage]:
    """What the session or the address names and the store holds; says what is missing."""
    name = f"{prefix}_images"
    in_link = [part.strip() for part in st.query_params.get(name, "").split(",") if part.strip()]
    named: list[str] = st.session_state.get(name) or list(dict.fromkeys(in_link))
    found = [image for digest in named[:most] if (image := runtime.store.get(digest)) is not None]
    if len(found) < len(named[:most]):
        lost = len(named[:most]) - len(found)
        what = "A picture that was" if lost == 1 else f"{lost} pictures that were"
        st.info(f"{what} chosen here cannot be found. It may have been deleted.")
    if len(named) > most and most > 1:
        st.info(f"The first {most} of {len(named)} pictures are shown.")
    kept = [image.digest for image in found]
    of, said = st.session_state.get(f"{prefix}:said", ([], ""))
    if said and kept == of:
        st.info(said)
    if kept != in_link:
        if kept:
            st.query_params[name] = ",".join(kept)
        else:
            st.query_params.pop(name, None)
    st.session_state[name] = kept
    return found


def _show_strip(
    runtime: Runtime, prefix: str, chosen: Sequence[StoredImage], *, several: bool
) -> None:
    title, values = short_labels(chosen)
    if title:
        st.caption(plain(title), width=THUMBNAIL)
    for image, value in zip(chosen[:STRIP], values, strict=False):
        with st.container(width=THUMBNAIL, gap="xxsmall"):
            if (data := picture_bytes(runtime.store, image.digest)) is not None:
                show_picture(data, image, longest=THUMBNAIL)
            if value:
                st.caption(plain(value), text_alignment="center")
    if len(chosen) > STRIP:
        st.caption(f"and {len(chosen) - STRIP} more", width="content")
    if not several or len(chosen) == 1:
        st.text(chosen[0].settings.prompt or "(no prompt)", width="stretch")


def _choice(runtime: Runtime, prefix: str, chosen: Sequence[StoredImage], *, several: bool) -> None:
    """Run alone, so that a tick does not close it; a choice reruns the page."""
    label = "Choose pictures" if several else "Choose another picture"
    popover = st.popover(label, key=f"{prefix}:choose", icon=":material/photo_library:")
    with popover, st.container(width=560):
        _search(runtime, prefix, [image.digest for image in chosen], several=several)


@st.fragment
@safe
def _search(runtime: Runtime, prefix: str, chosen: list[str], *, several: bool) -> None:
    if (
        several
        and st.segmented_control(
            "Choose",
            ["Pictures", "All cells of a sweep"],
            default="Pictures",
            required=True,
            key=f"{prefix}:choose_from",
            label_visibility="collapsed",
        )
        == "All cells of a sweep"
    ):
        if show_sweeps(runtime, prefix):
            st.rerun()
        return
    text = st.text_input(
        "Search in prompts",
        key=f"{prefix}:search",
        icon=":material/search:",
        placeholder="apple glossy",
        live=True,
    )
    images = runtime.store.search(Filter(text=(text or "").strip()), limit=OFFERED)
    if not images:
        st.caption("No picture matches.")
    grid = st.grid(4, min_column_width=120, gap="small")
    for image in images:
        with grid.cell(), st.container(gap="xxsmall"):
            if (data := picture_bytes(runtime.store, image.digest)) is not None:
                show_picture(data, image)
            is_in = image.digest in chosen
            if st.button(
                "Remove" if several and is_in else "Add" if several else "Show",
                key=f"{prefix}:pick:{image.digest}",
                icon=":material/check_box:" if is_in else ":material/add:",
                type="primary" if is_in else "secondary",
                disabled=several and not is_in and len(chosen) >= MOST_RUNS,
                width="stretch",
                help=plain(_what(image)),
                on_click=_take,
                args=(prefix, image.digest, chosen, several),
            ):
                st.rerun()  # the whole page


def _take(prefix: str, digest: str, chosen: list[str], several: bool) -> None:
    if not several:
        put_runs(prefix, [digest])
    elif digest not in chosen:
        put_runs(prefix, [*chosen, digest])
    elif len(chosen) > 1:
        put_runs(prefix, [one for one in chosen if one != digest])


def _what(image: StoredImage) -> str:
    """ "a red apple · seed 3 · DPM++ 2M, 20 steps · guidance 5"."""
    settings = image.settings
    return (
        f"{settings.prompt or '(no prompt)'} · seed {settings.seed} · {settings.scheduler}, "
        f"{settings.num_inference_steps} steps · guidance {settings.guidance_scale:g}"
    )
