"""The Gallery's filters, and its pictures as tiles: one for a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.runs.store.index import Entry, Filter
from core.runs.store.store import Facets
from ui.catalog import GALLERY
from ui.gallery.selection import is_selecting, picked, toggle
from ui.grid.rated import ANY, RATINGS
from ui.grid.tiles import Tile, show_tiles
from ui.links import BOUND, Parameter, forget_problems
from ui.runs.sweeps import describe_sweep
from ui.runtime import Runtime
from ui.send import OPEN, send_sweep
from ui.views import ago

PREFIX = GALLERY.prefix
PAGE_SIZE = 24
SORTS = {"Newest": "newest", "Oldest": "oldest", "Best rated": "best"}
CLICKED_SWEEP = f"{PREFIX}:sweep"
"""The job of the sweep whose tile was clicked."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the gallery is asked for, and how it is laid out."""

    wanted: Filter
    order: str
    is_grouped: bool


def parameters(facets: Facets) -> tuple[Parameter, ...]:
    return (
        Parameter(field="search", kind="text"),
        Parameter(field="scheduler", kind="choice", choices=(ANY, *facets.schedulers)),
        Parameter(field="model", kind="choice", choices=(ANY, *facets.models)),
        Parameter(field="rating", kind="choice", choices=(ANY, *RATINGS)),
        Parameter(field="sort", kind="choice", choices=tuple(SORTS)),
        Parameter(field="grouped", kind="choice", choices=("true", "false")),
        Parameter(field="page", kind="int", low=1, high=1_000_000),
        Parameter(field="open", kind="text"),
    )


def filter_bar(facets: Facets) -> Filters:
    """Search and filters; a change of any goes back to the first page."""
    words, scheduler, model, rating, sort, grouped = st.columns(
        [0.23, 0.16, 0.15, 0.15, 0.13, 0.18], gap="small", vertical_alignment="bottom"
    )
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
    rated = rating.selectbox(
        "Rating", [ANY, *RATINGS], key=f"{PREFIX}_rating", on_change=_first_page, **BOUND
    )
    by = sort.selectbox("Sort", list(SORTS), key=f"{PREFIX}_sort", on_change=_first_page, **BOUND)
    is_grouped = grouped.toggle(
        "Group sweeps",
        value=True,
        key=f"{PREFIX}_grouped",
        help="The first picture in the order stands for its sweep; a click opens the sweep.",
        on_change=_first_page,
        **BOUND,
    )
    return Filters(
        wanted=Filter(
            text=(text or "").strip(),
            scheduler=None if chosen == ANY else chosen,
            model=None if made_by == ANY else made_by,
            rated=RATINGS.get(rated),
        ),
        order=SORTS[by],
        is_grouped=is_grouped,
    )


def entries_of(runtime: Runtime, filters: Filters) -> list[Entry]:
    """The entries of the page that is turned to, with the control that turns it."""
    store = runtime.store
    if filters.is_grouped:
        total = store.count_entries(filters.wanted)
    else:
        total = store.count(filters.wanted)
    pages = max(1, -(-total // PAGE_SIZE))
    key = f"{PREFIX}_page"
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    page = st.pagination(pages, key=key, **BOUND) if pages > 1 else 1
    offset = (min(page, pages) - 1) * PAGE_SIZE
    if filters.is_grouped:
        return store.entries(filters.wanted, limit=PAGE_SIZE, offset=offset, order=filters.order)
    return [
        Entry(image=image)
        for image in store.search(
            filters.wanted, limit=PAGE_SIZE, offset=offset, order=filters.order
        )
    ]


def show_album(runtime: Runtime, entries: list[Entry]) -> None:
    """A click opens a picture or a sweep; while selecting, it ticks them."""
    if job_id := st.session_state.pop(CLICKED_SWEEP, None):
        if (sweep := runtime.queue.sweep(job_id)) is not None:
            send_sweep(sweep)
        st.info("This sweep was written by another version and cannot be opened.")
    chosen = picked()
    by_digest = {entry.image.digest: entry for entry in entries}
    ratings = runtime.ratings.of_all(by_digest)
    tiles = [
        Tile(
            image=entry.image,
            caption=_caption(runtime, entry),
            mark=" · ".join(
                part
                for part in (
                    f"{entry.count} pictures" if entry.job_id else "",
                    str(ratings.get(entry.image.digest, "")),
                )
                if part
            ),
            is_selected=is_selecting() and all_of(runtime, [entry]) <= chosen,
        )
        for entry in entries
    ]

    def clicked(digest: str) -> None:
        entry = by_digest[digest]
        if is_selecting():
            toggle(all_of(runtime, [entry]))
        elif entry.job_id is not None:
            st.session_state[CLICKED_SWEEP] = entry.job_id
        else:
            st.session_state[OPEN] = digest

    show_tiles(runtime.store, tiles, key=f"{PREFIX}:tiles", name="Pictures", on_open=clicked)


def _caption(runtime: Runtime, entry: Entry) -> str:
    """What varies in a sweep; of a picture its prompt and age."""
    if entry.job_id is not None and (sweep := runtime.queue.sweep(entry.job_id)) is not None:
        return describe_sweep(sweep)
    return f"{entry.image.settings.prompt or '(no prompt)'} · {ago(entry.image.created_at)}"


def all_of(runtime: Runtime, entries: Sequence[Entry]) -> set[str]:
    """The digests that entries stand for."""
    digests = {entry.image.digest for entry in entries}
    for entry in entries:
        if entry.job_id is not None:
            digests |= {cell.digest for cell in runtime.queue.cells(entry.job_id) if cell.digest}
    return runtime.store.holds(digests)


def _first_page() -> None:
    st.session_state[f"{PREFIX}_page"] = 1
    forget_problems(PREFIX)
