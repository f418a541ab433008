"""What the server does beside Streamlit: downloads that stay, and pages that cannot be framed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnected
from streamlit.runtime.media_file_manager import MediaFileManager

from core.diffusion.models.origins import keep_to_roots

KEPT_SECONDS = 600.0
KEPT_BYTES = 512 * 2**20
CLICKABLE_SECONDS = 15.0
"""A button whose page reruns is replaced within a second or two; every rerun leaves one."""

HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"same-origin"),
)


class DownloadManager(MediaFileManager):
    """Streamlit's files, kept for minutes after the last session has let go of them.

    Streamlit drops a deferred download at the second clean-up after it was made, and the callable
    behind a button while its page's script reruns. Every rerun of every session cleans up, so
    with a few busy browsers most clicks found nothing. Here what nobody refers to stays for
    `seconds`, up to `most_bytes` of files, the oldest going first; a button's callable for
    CLICKABLE_SECONDS of them.
    """

    def __init__(
        self, storage: Any, *, seconds: float = KEPT_SECONDS, most_bytes: int = KEPT_BYTES
    ) -> None:
        super().__init__(storage)
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._let_go: dict[str, float] = {}
        """File or callable -> when it was first found without a session."""

    def remove_orphaned_files(self) -> None:
        """Delete what nobody has referred to for `seconds`. Safe to call from any thread."""
        now = time.monotonic()
        with self._lock:
            files = self._get_inactive_file_ids()
            in_use = {
                file_id
                for by_place in self._files_by_session_and_coord.values()
                for file_id in by_place.values()
            }
            callables = self._deferred_callables.keys() - in_use
            orphans = files | callables
            since = {one: self._let_go.get(one, now) for one in orphans}
            clickable = min(CLICKABLE_SECONDS, self._seconds)
            limit = {one: self._seconds if one in files else clickable for one in orphans}
            old = [one for one in orphans if now - since[one] >= limit[one]]
            old += self._too_many(files - set(old), since)
            for one in old:
                del since[one]
                if one in files:
                    self._delete_file(one)
                else:
                    self._drop_deferred_id(one)
            self._let_go = since

    def _too_many(self, files: set[str], since: dict[str, float]) -> list[str]:
        """The oldest of these files, so that the others fit into `most_bytes`."""
        newest_first = sorted(files, key=lambda one: since[one], reverse=True)
        total, dropped = 0, list[str]()
        for one in newest_first:
            file = self.read_file(one)
            total += file.content_size if file is not None else 0
            if total > self._most_bytes:
                dropped.append(one)
        return dropped


class SecurityHeaders:
    """Add HEADERS to every reply of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class ClosedSockets:
    """Let a browser go that closes its page while something is sent to it.

    Streamlit 1.67 then reads from the closed socket, takes the error for a text frame, and closes
    it once more, which fails: a traceback in the log, and nothing that anybody could do about it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except WebSocketDisconnected:
            if scope["type"] != "websocket":
                raise


MIDDLEWARE = (Middleware(SecurityHeaders), Middleware(ClosedSockets))


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncGenerator[None]:
    """Give the runtime its DownloadManager before the first session begins, and keep models to
    the folders that were named for them.
    """
    keep_to_roots()
    # Streamlit 1.67 offers no public way to choose it; tests/browser would see it missing.
    runtime: Any = vars(app)["_runtime"]
    storage = vars(runtime.media_file_mgr)["_storage"]
    vars(runtime)["_media_file_mgr"] = DownloadManager(storage)
    yield
