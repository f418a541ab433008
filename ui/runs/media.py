"""Pictures for our own components: short addresses instead of their bytes in every message."""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image
from streamlit import runtime as streamlit_runtime

from core.runs.store.store import Store, StoreError

LOOK_AT = 2  # pixels of the file for one on the screen, so that dense screens stay sharp
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def served(data: bytes, place: str) -> str:
    """An address of a picture, served by this app until the page is drawn without it.

    Streamlit's own pictures go through the same manager. `place` names where the picture is
    shown: another one in that place puts this one away.
    """
    if not streamlit_runtime.exists():
        return inline(data)
    manager = streamlit_runtime.get_instance().media_file_mgr
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return (f"/{base}" if base else "") + manager.add(data, kind_of(data), place)


def inline(data: bytes) -> str:
    """A data: address, for pictures that change faster than they could be fetched."""
    return f"data:{kind_of(data)};base64,{base64.b64encode(data).decode()}"


def kind_of(data: bytes) -> str:
    return next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), "image/png")


def smaller(store: Store, digest: str, longest: int) -> bytes | None:
    """The stored picture with at most `longest` pixels a side, as it is where it has fewer.

    For looking only: what is downloaded is always the stored file. None where it cannot be read.
    """
    try:
        return _smaller(store, digest, longest)
    except (StoreError, OSError):
        return None


@st.cache_data(show_spinner=False, max_entries=2000)
def _smaller(_store: Store, digest: str, longest: int) -> bytes:
    """An exception is not kept: a file that could not be read is tried again."""
    data = _store.image_bytes(digest)
    with Image.open(io.BytesIO(data)) as image:
        if max(image.size) <= longest:
            return data
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "WEBP", quality=90)
        return buffer.getvalue()
