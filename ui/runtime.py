"""What every page shares: the worker, its queue and store, and who this browser is."""

from __future__ import annotations

import binascii
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.diffusion.models.load import BUNDLED, ModelInfo, describe
from core.diffusion.sampling.text_encoder import Tokenizer
from core.runs.queue.queue import Queue
from core.runs.store.store import Store, data_folder
from core.runs.worker.worker import Worker

XSRF_COOKIE = "_streamlit_xsrf"


@dataclass(frozen=True, kw_only=True, eq=False)
class Runtime:
    """The one worker of this process with its store, and the model that pages begin with."""

    worker: Worker
    store: Store
    queue: Queue
    model: ModelInfo


def open_runtime() -> Runtime:
    """Starts the worker on first use. Raises FolderInUse, StoreError or ModelError."""
    worker, store, queue = _shared(str(data_folder()))
    worker.start()  # it runs already, unless it had to end
    return Runtime(worker=worker, store=store, queue=queue, model=describe(BUNDLED))


@st.cache_resource(show_spinner=False, max_entries=4)
def _shared(folder: str) -> tuple[Worker, Store, Queue]:
    # Worker.shared is itself one per process and folder: "Clear cache" builds no second pipeline.
    worker = Worker.shared(Path(folder))
    return worker, worker.store, Queue(worker.store)


@st.cache_resource(show_spinner=False, max_entries=4)
def tokenizer(folder: Path) -> Tokenizer:
    """The prompt counter of the model in `folder`; its first use takes a second to import."""
    return Tokenizer(folder)


def owner_id() -> str:
    """Who submits: the same for every tab of this browser and after a reload.

    It is a hash of the random XSRF cookie that Streamlit gives each browser: nothing new is
    stored, the address stays shareable, and the cookie itself never reaches the database. The
    cookie's mask changes with every reply, its token does not. Without a cookie (the protection
    switched off, tests) the id lives as long as the session.
    """
    token = _cookie_token(st.context.cookies.get(XSRF_COOKIE, ""))
    if token:
        return hashlib.sha256(b"lightbox owner" + token).hexdigest()[:16]
    return st.session_state.setdefault("owner_id", uuid.uuid4().hex[:16])


def _cookie_token(cookie: str) -> bytes:
    """The token in "2|mask|masked token|timestamp" (hex), b"" if it is nothing of the kind."""
    parts = cookie.strip("\"'").split("|")
    if len(parts) != 4:
        return b""
    try:
        mask, masked = binascii.unhexlify(parts[1]), binascii.unhexlify(parts[2])
    except ValueError:
        return b""
    return bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(masked)) if mask else b""
