"""The server: downloads that survive other sessions' reruns, headers, and refused hosts."""

from __future__ import annotations

import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from ui.server import HEADERS, MIDDLEWARE, DownloadManager

SESSIONS = 20
CLICKS = 10


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> threading.local:
    """Whose script the current thread runs, as Streamlit's script context says it."""
    current = threading.local()
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: current.id)
    return current


def manager_of(kind: type[MediaFileManager]) -> MediaFileManager:
    return kind(MemoryMediaFileStorage("/media"))


def lost_downloads(manager: MediaFileManager, session: threading.local) -> int:
    """Clicks without a whole file, while other sessions rerun between making and fetching it."""
    session.id = "reader"
    lost = 0
    for click in range(SESSIONS * CLICKS):
        content = f"file {click}".encode() * 100
        manager.clear_session_refs()
        button = manager.add_deferred(lambda content=content: content, "text/csv", "0.1")
        manager.remove_orphaned_files()
        # The reader's own fragment reruns, and is not yet back at its button ...
        manager.clear_session_refs("reader")
        for other in range(SESSIONS):  # ... when every other session's fragment ends.
            manager.clear_session_refs(f"other {other}")
            manager.remove_orphaned_files()
        try:
            url = manager.execute_deferred(button)
            for _ in range(SESSIONS):
                manager.remove_orphaned_files()
            file = manager.read_file(url.rsplit("/", 1)[-1])
        except Exception:
            file = None
        lost += file is None or file.content != content
    return lost


def test_no_download_is_lost_while_twenty_sessions_poll(session: threading.local) -> None:
    assert lost_downloads(manager_of(MediaFileManager), session) > 0, "Streamlit keeps them itself"
    assert lost_downloads(manager_of(DownloadManager), session) == 0


def test_sessions_in_threads_lose_nothing(session: threading.local) -> None:
    manager, over = manager_of(DownloadManager), threading.Event()

    def poll(number: int) -> None:
        session.id = f"poller {number}"
        while not over.wait(0.05):
            manager.clear_session_refs()
            manager.add_deferred(lambda: b"a figure", "text/csv", "0.2")
            manager.remove_orphaned_files()

    pollers = [threading.Thread(target=poll, args=(n,)) for n in range(SESSIONS)]
    for poller in pollers:
        poller.start()
    try:
        assert lost_downloads(manager, session) == 0
    finally:
        over.set()
        for poller in pollers:
            poller.join()


def test_what_nobody_wants_goes_by_age_and_by_size(session: threading.local) -> None:
    session.id = "reader"
    manager = DownloadManager(MemoryMediaFileStorage("/media"), seconds=0)
    url = manager.execute_deferred(manager.add_deferred(lambda: b"a", "text/csv", "0"))
    manager.clear_session_refs()
    manager.remove_orphaned_files()
    assert manager.read_file(url.rsplit("/", 1)[-1]) is None
    assert not manager._deferred_callables

    small = DownloadManager(MemoryMediaFileStorage("/media"), most_bytes=250)
    urls: list[str] = []
    for byte in (b"a", b"b", b"c"):
        made = small.add_deferred(lambda byte=byte: byte * 100, "text/csv", byte.decode())
        urls.append(small.execute_deferred(made))
        small.clear_session_refs()
        small.remove_orphaned_files()
    kept = [small.read_file(url.rsplit("/", 1)[-1]) is not None for url in urls]
    assert kept == [False, True, True], "the oldest goes first"


def test_a_file_in_use_stays_whatever_its_age(session: threading.local) -> None:
    session.id = "reader"
    manager = DownloadManager(MemoryMediaFileStorage("/media"), seconds=0, most_bytes=0)
    url = manager.add(b"a picture", "image/png", "0.3")
    manager.remove_orphaned_files()
    assert manager.read_file(url.rsplit("/", 1)[-1]) is not None


def test_no_page_can_be_framed() -> None:
    app = Starlette(
        routes=[Route("/", lambda request: PlainTextResponse("ok"))], middleware=[*MIDDLEWARE]
    )
    reply = TestClient(app).get("/")
    for name, value in HEADERS:
        assert reply.headers[name.decode()] == value.decode()
    assert reply.headers["x-frame-options"] == "DENY"


async def _closes_twice(socket: WebSocket) -> None:
    """As Streamlit does where the browser has gone while something was sent to it."""
    await socket.accept()
    await socket.close()
    await socket.close()


def test_a_browser_that_has_gone_is_no_fault_of_the_app() -> None:
    app = Starlette(routes=[WebSocketRoute("/stream", _closes_twice)], middleware=[*MIDDLEWARE])
    with TestClient(app).websocket_connect("/stream") as socket:
        assert socket.receive()["type"] == "websocket.close"
