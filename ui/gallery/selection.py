"""Selecting in the Gallery: what is ticked, and what can be done with it at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from core.exports.contact_sheet import MOST_PICTURES, write_contact_sheet
from core.exports.pictures import write_pictures_zip
from core.runs.store.opinions.ratings import MOST_STARS
from core.runs.store.store import StoredImage
from ui.catalog import GALLERY
from ui.frame import safe
from ui.grid.compare import compare_images
from ui.runs.rating import stars_label
from ui.runtime import Runtime

PREFIX = GALLERY.prefix
PICKED = f"{PREFIX}:picked"
SELECTING = f"{PREFIX}:selecting"
DELETING = f"{PREFIX}:deleting"
COMPARING = f"{PREFIX}:comparing"
RATE = f"{PREFIX}:rate"
SAID = {
    **{
        f"{'★' * stars} {stars_label(stars)}".strip(): ("stars", stars)
        for stars in range(MOST_STARS, -1, -1)
    },
    "♥ Favourite": ("mark", 1),
    "♡ No favourite": ("mark", 0),
}
"""What can be said of several pictures at once: what is set, and to what."""


def is_selecting() -> bool:
    return bool(st.session_state.get(SELECTING))


def picked() -> set[str]:
    """The digests that are ticked."""
    return st.session_state.setdefault(PICKED, set())


def toggle(digests: Collection[str]) -> None:
    """Tick them all, or none where all were."""
    chosen = picked()
    if set(digests) <= chosen:
        chosen.difference_update(digests)
    else:
        chosen.update(digests)


def selection_bar(runtime: Runtime, here: Collection[str]) -> None:
    """Switches selecting on and off. `here` are the digests that "All on this page" ticks."""
    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
        st.toggle("Select", key=SELECTING, on_change=forget_ticks)
        if not is_selecting():
            return
        chosen = sorted(picked())
        is_all = set(here) <= picked()
        st.button(
            "None" if is_all else "All on this page",
            key=f"{PREFIX}:all",
            icon=":material/deselect:" if is_all else ":material/select_all:",
            disabled=not here,
            on_click=toggle,
            args=(here,),
        )
        st.button(
            "Compare",
            key=f"{PREFIX}:compare",
            icon=":material/compare:",
            disabled=len(chosen) != 2,
            help="Two pictures: a slider between them, side by side, their difference.",
            on_click=_set,
            args=(COMPARING, chosen),
        )
        st.menu_button(
            f"Rate {len(chosen)}" if chosen else "Rate",
            list(SAID),
            key=RATE,
            icon=":material/star:",
            disabled=not chosen,
            on_click=_rate,
            args=(runtime, chosen),
        )
        st.download_button(
            f"Export {len(chosen)}" if chosen else "Export",
            lambda: write_pictures_zip(_stored(runtime, chosen), runtime.ratings.of_all(chosen)),
            file_name="lightbox-pictures.zip",
            mime="application/zip",
            key=f"{PREFIX}:export",
            icon=":material/download:",
            disabled=not chosen,
            help="The stored PNG files in a ZIP, with a table of their settings and ratings.",
            on_click="ignore",
        )
        st.download_button(
            "Sheet",
            lambda: write_contact_sheet(_stored(runtime, chosen), runtime.ratings.of_all(chosen)),
            file_name="lightbox-sheet.png",
            mime="image/png",
            key=f"{PREFIX}:sheet",
            icon=":material/grid_view:",
            disabled=not 0 < len(chosen) <= MOST_PICTURES,
            help=f"All of them in one PNG with captions, up to {MOST_PICTURES:,} pictures.",
            on_click="ignore",
        )
        st.button(
            f"Delete {len(chosen)}" if chosen else "Delete",
            key=f"{PREFIX}:delete",
            icon=":material/delete:",
            disabled=not chosen,
            on_click=_set,
            args=(DELETING, chosen),
        )


def show_questions(runtime: Runtime) -> bool:
    """The dialog that a button of the bar asked for. True where there is one."""
    if deleting := st.session_state.get(DELETING):
        _confirm(runtime, deleting)
    elif comparing := st.session_state.get(COMPARING):
        images = _stored(runtime, comparing)
        if len(images) < 2:
            st.session_state.pop(COMPARING)
            return False
        _compare(runtime, images)
    else:
        return False
    return True


def ask_to_delete(runtime: Runtime, digests: Sequence[str]) -> bool | None:
    """True once they are deleted, False once that is refused."""
    noun = "this picture" if len(digests) == 1 else f"these {len(digests)} pictures"
    st.text(f"Delete {noun} permanently? The files are removed from the disk.")
    if votes := runtime.ballots.about(digests):
        st.text(
            f"{votes} {'vote' if votes == 1 else 'votes'} of blind tests stay and count, but what "
            "was voted on cannot be seen or asked about until it is computed again."
        )
    with st.container(horizontal=True):
        if st.button("Delete permanently", key=f"{PREFIX}:really", type="primary"):
            count = runtime.store.delete(digests)
            picked().difference_update(digests)
            st.toast(f"{count} deleted", icon=":material/delete:")
            return True
        if st.button("Cancel", key=f"{PREFIX}:keep"):
            return False
    return None


def forget_ticks() -> None:
    st.session_state[PICKED] = set()


@st.dialog("Delete pictures", icon=":material/delete:", on_dismiss=lambda: _set(DELETING, []))
@safe
def _confirm(runtime: Runtime, digests: list[str]) -> None:
    if ask_to_delete(runtime, digests) is not None:
        _set(DELETING, [])
        st.rerun()


@st.dialog(
    "Compare", width="large", icon=":material/compare:", on_dismiss=lambda: _set(COMPARING, [])
)
@safe
def _compare(runtime: Runtime, images: list[StoredImage]) -> None:
    compare_images(runtime, PREFIX, images[0], images[1])


@safe
def _rate(runtime: Runtime, digests: Sequence[str]) -> None:
    """What was chosen of SAID, for all of them."""
    what, value = SAID[str(st.session_state[RATE])]
    if what == "stars":
        runtime.ratings.rate(digests, value)
    else:
        runtime.ratings.mark(digests, is_favourite=bool(value))


def _stored(runtime: Runtime, digests: Sequence[str]) -> list[StoredImage]:
    return [image for digest in digests if (image := runtime.store.get(digest)) is not None]


def _set(name: str, digests: Sequence[str]) -> None:
    st.session_state[name] = list(digests)
