"""Stored pictures as tiles that open with a click or by keys, on every page that lists some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.runs.store.store import Store, StoredImage
from ui.grid.component import mount_grid
from ui.runs.media import LOOK_AT, served, smaller

TILE = 160  # pixels of the longer side on the screen
UNREADABLE = "This picture cannot be read"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture, what stands under it, and what stands in its corner."""

    image: StoredImage
    caption: str = ""
    mark: str = ""
    is_selected: bool = False


def show_tiles(
    store: Store,
    tiles: Sequence[Tile],
    *,
    key: str,
    name: str,
    on_open: Callable[[str], None],
    size: int = TILE,
) -> None:
    """Calls `on_open` with the digest of the picture that is clicked, before the page is drawn
    again. `name` says to a screen reader what lies here.
    """

    def opened() -> None:
        digest: Any = st.session_state[key].opened
        if isinstance(digest, str):
            on_open(digest)

    mount_grid(
        key=key,
        data={
            "name": name,
            "x": None,
            "y": None,
            "cells": [_view(store, tile, key, size) for tile in tiles],
            "size": size,
            "captions": True,
        },
        on_opened_change=opened,
    )


def _view(store: Store, tile: Tile, key: str, size: int) -> dict[str, Any]:
    image, settings = tile.image, tile.image.settings
    data = smaller(store, image.digest, LOOK_AT * size)
    prompt = settings.prompt or "(no prompt)"
    marks = [mark for mark in ("✓" if tile.is_selected else "", tile.mark) if mark]
    state = "failed" if data is None else "selected" if tile.is_selected else "done"
    return {
        "at": image.digest,
        "state": state,
        "src": served(data, f"{key}:{image.digest}") if data is not None else None,
        "width": settings.width,
        "height": settings.height,
        "progress": 0,
        "words": "" if data is not None else UNREADABLE,
        "marks": marks,
        "caption": tile.caption,
        "title": f"{prompt}\n{tile.caption}".strip(),
        "alt": ", ".join(part for part in (prompt, tile.caption, *marks) if part),
    }
