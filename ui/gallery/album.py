"""The Gallery's parts: filters, the grid, one picture opened, deleting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.runs.store.store import Facets, StoredImage
from ui.catalog import GALLERY
from ui.frame import safe
from ui.links import BOUND, Parameter, forget_problems
from ui.runs.result import show_actions, show_facts, show_settings
from ui.runtime import Runtime
from ui.send import OPEN
from ui.views import ago, picture_bytes, show_picture

PREFIX = GALLERY.prefix
PAGE_SIZE = 24
ANY = "Any"
PICKED = f"{PREFIX}:picked"
DELETING = f"{PREFIX}:deleting"
SURE = f"{PREFIX}:sure"
SELECTING = f"{PREFIX}:selecting"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the gallery is asked for; None is any."""

    text: str
    scheduler: str | None
    model: str | None


def parameters(facets: Facets) -> tuple[Parameter, ...]:
    return (
        Parameter(field="search", kind="text"),
        Parameter(field="scheduler", kind="choice", choices=(ANY, *facets.schedulers)),
        Parameter(field="model", kind="choice", choices=(ANY, *facets.models)),
        Parameter(field="page", kind="int", low=1, high=1_000_000),
        Parameter(field="open", kind="text"),
    )


def filter_bar(facets: Facets) -> Filters:
    """Search and filters; a change of any goes back to the first page."""
    words, scheduler, model = st.columns([0.5, 0.25, 0.25], gap="small")
    text = words.text_input(
        "Search in prompts",
        key=f"{PREFIX}_search",
        icon=":material/search:",
        placeholder="apple glossy",
        live=True,
        on_change=_first_page,
        **BOUND,
    )
    chosen = scheduler.selectbox(
        "Scheduler",
        [ANY, *facets.schedulers],
        key=f"{PREFIX}_scheduler",
        on_change=_first_page,
        **BOUND,
    )
    made_by = model.selectbox(
        "Model", [ANY, *facets.models], key=f"{PREFIX}_model", on_change=_first_page, **BOUND
    )
    return Filters(
        text=(text or "").strip(),
        scheduler=None if chosen == ANY else chosen,
        model=None if made_by == ANY else made_by,
    )


def page_of(runtime: Runtime, filters: Filters, total: int) -> list[StoredImage]:
    """The pictures of the page that is turned to."""
    pages = max(1, -(-total // PAGE_SIZE))
    key = f"{PREFIX}_page"
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    page = st.pagination(pages, key=key, **BOUND) if pages > 1 else 1
    return runtime.store.search(
        filters.text,
        scheduler=filters.scheduler,
        model=filters.model,
        limit=PAGE_SIZE,
        offset=(min(page, pages) - 1) * PAGE_SIZE,
    )


def show_grid(runtime: Runtime, images: Sequence[StoredImage]) -> None:
    """Picture, prompt, and a way in; with boxes to tick while selecting."""
    selecting = bool(st.session_state.get(SELECTING))
    grid = st.grid(6, min_column_width=130, gap=("medium", "small"))
    for image in images:
        with grid.cell(), st.container(gap="xxsmall"):
            if (data := picture_bytes(runtime.store, image.digest)) is not None:
                show_picture(data, image)
            st.text(image.settings.prompt or "(no prompt)", wrap=False, width="stretch")
            if selecting:
                st.checkbox(
                    "Select",
                    key=f"tick:{image.digest}",
                    value=image.digest in _picked(),
                    on_change=_tick,
                    args=(image.digest,),
                )
            else:
                st.button(
                    ago(image.created_at),
                    key=f"open:{image.digest}",
                    type="tertiary",
                    icon=":material/open_in_full:",
                    help="Open with all its settings",
                    on_click=_open,
                    args=(image.digest,),
                )


def selection_bar() -> None:
    """Switches selecting on and off, and deletes what is ticked, after asking."""
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.toggle("Select", key=SELECTING, on_change=_forget_ticks)
        picked = sorted(_picked())
        if st.session_state.get(SELECTING):
            st.button(
                f"Delete {len(picked)}" if picked else "Delete",
                key="gallery:delete",
                icon=":material/delete:",
                disabled=not picked,
                on_click=_set_deleting,
                args=(picked,),
            )


def show_opened(runtime: Runtime) -> None:
    """The question before deleting, or the picture named in the address, if there is one."""
    if deleting := st.session_state.get(DELETING):
        _confirm_delete(runtime, deleting)
        return
    digest = st.session_state.get(OPEN) or st.query_params.get(OPEN)
    if not digest:
        return
    image = runtime.store.get(digest)
    if image is None:
        _close()
        st.info("The picture in the link was not found. It may have been deleted.")
        return
    st.session_state[OPEN] = digest
    if st.query_params.get(OPEN) != digest:
        st.query_params[OPEN] = digest
    _show_one(runtime, image)


@st.dialog("Picture", width="large", icon=":material/image:", on_dismiss=lambda: _close())
@safe
def _show_one(runtime: Runtime, image: StoredImage) -> None:
    left, right = st.columns([0.5, 0.5], gap="medium")
    with left:
        if (data := picture_bytes(runtime.store, image.digest)) is not None:
            show_picture(data, image)
        with st.container(horizontal=True):
            show_actions(runtime, image, GALLERY)
            asked = st.button("Delete", key="gallery:delete_one", icon=":material/delete:")
        if asked or st.session_state.get(SURE) == image.digest:
            st.session_state[SURE] = image.digest
            _ask(runtime, [image.digest])
    with right:
        show_facts(image)
        st.caption(f"{ago(image.created_at)} · {image.settings.scheduler}")
        show_settings(image)


@st.dialog("Delete pictures", icon=":material/delete:", on_dismiss=lambda: _set_deleting([]))
@safe
def _confirm_delete(runtime: Runtime, digests: list[str]) -> None:
    _ask(runtime, digests)


def _ask(runtime: Runtime, digests: Sequence[str]) -> None:
    noun = "this picture" if len(digests) == 1 else f"these {len(digests)} pictures"
    st.text(f"Delete {noun} permanently? The files are removed from the disk.")
    with st.container(horizontal=True):
        if st.button("Delete permanently", key="gallery:really", type="primary"):
            count = runtime.store.delete(digests)
            _close()
            _forget_ticks()
            _set_deleting([])
            st.toast(f"{count} deleted", icon=":material/delete:")
            st.rerun()
        if st.button("Cancel", key="gallery:keep"):
            _set_deleting([])
            st.session_state.pop(SURE, None)
            st.rerun()


def _picked() -> set[str]:
    return st.session_state.setdefault(PICKED, set())


def _tick(digest: str) -> None:
    picked = _picked()
    if st.session_state[f"tick:{digest}"]:
        picked.add(digest)
    else:
        picked.discard(digest)


def _forget_ticks() -> None:
    st.session_state[PICKED] = set()


def _open(digest: str) -> None:
    st.session_state[OPEN] = digest


def _close() -> None:
    st.session_state.pop(OPEN, None)
    st.session_state.pop(SURE, None)
    st.query_params.pop(OPEN, None)


def _set_deleting(digests: Sequence[str]) -> None:
    st.session_state[DELETING] = list(digests)


def _first_page() -> None:
    st.session_state[f"{PREFIX}_page"] = 1
    forget_problems(PREFIX)
