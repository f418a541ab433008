"""What every page shares: the worker, its queue and store, and who this browser is."""

from __future__ import annotations

import binascii
import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import BUNDLED, ModelInfo, describe
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.runs.queue.queue import Queue
from core.runs.queue.tasks import Tasks
from core.runs.store.data_folder import wildcards_folder
from core.runs.store.opinions.ballots import Ballots
from core.runs.store.opinions.lesson_answers import LessonAnswers
from core.runs.store.opinions.ratings import Ratings
from core.runs.store.store import Store, data_folder
from core.runs.worker.worker import Worker

XSRF_COOKIE = "_streamlit_xsrf"


@dataclass(frozen=True, kw_only=True, eq=False)
class Runtime:
    """The data folder as pages see it, and the model that they begin with.

    `worker` is the one of this process; None where another process has it. Pages ask the tables
    of `queue` and `tasks`, whichever it is.
    """

    worker: Worker | None
    store: Store
    queue: Queue
    tasks: Tasks
    model: ModelInfo

    @property
    def wildcards(self) -> Wildcards:
        """The files that a prompt's wildcards are drawn from."""
        return Wildcards(folder=wildcards_folder(self.store.folder))

    @property
    def ratings(self) -> Ratings:
        """Stars and favourites: of the pictures, for all who use the folder."""
        return Ratings(self.store.database)

    @property
    def ballots(self) -> Ballots:
        """The votes of blind tests."""
        return Ballots(self.store.database)

    @property
    def lesson_answers(self) -> LessonAnswers:
        """What learners predicted."""
        return LessonAnswers(self.store.database)

    def marks(self) -> Marks:
        """A reader of choices and wildcards that looks up each file once."""
        return Marks(self.wildcards.lines)


def open_runtime() -> Runtime:
    """Start the worker on first use, unless LIGHTBOX_WORKER is "off": then one in another process
    is asked through the tables. Raises FolderInUse, StoreError or ModelError.
    """
    has_worker = os.environ.get("LIGHTBOX_WORKER", "").strip().lower() != "off"
    worker, store, queue, tasks = _shared(str(data_folder()), has_worker)
    if worker is not None:
        worker.start()  # it runs already, unless it had to end
    return Runtime(worker=worker, store=store, queue=queue, tasks=tasks, model=describe(BUNDLED))


@st.cache_resource(show_spinner=False, max_entries=4)
def _shared(folder: str, has_worker: bool) -> tuple[Worker | None, Store, Queue, Tasks]:
    # Worker.shared is itself one per process and folder: "Clear cache" builds no second pipeline.
    worker = Worker.shared(Path(folder)) if has_worker else None
    store = worker.store if worker is not None else Store(Path(folder))
    return worker, store, Queue(store), Tasks(store)


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
