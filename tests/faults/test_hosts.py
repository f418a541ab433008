"""A page of another host cannot speak with the app (DNS rebinding): a real server, by its name."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.runs.doubles import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = ["-m", "streamlit", "run", "streamlit_app.py", "--server.headless=true"]
    server = subprocess.Popen(
        [sys.executable, *command, f"--server.port={number}"],
        cwd=ROOT,
        env={**os.environ, "LIGHTBOX_DATA": str(tmp_path_factory.mktemp("data"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: is_open(number), seconds=120)
        yield number
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def answer(port: int, path: str, host: str, *more: str) -> int:
    """The status with which the server answers a request that names `host`."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *more, "", ""]
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall("\r\n".join(lines).encode())
        first = client.makefile("rb").readline()
    return int(first.split()[1])


def handshake(port: int, host: str) -> int:
    """Ask for a session as a page of `host` would: 101 opens it."""
    return answer(
        port,
        "/_stcore/stream",
        host,
        f"Origin: http://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: streamlit",
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_our_own_pages_open_a_session(port: int, host: str) -> None:
    assert handshake(port, f"{host}:{port}") == 101
    assert answer(port, "/", f"{host}:{port}", "Connection: close") == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example"]
)
def test_another_host_opens_no_session(port: int, host: str) -> None:
    """The page's own files are public; all that is private comes through a session."""
    for named in (host, f"{host}:{port}"):
        assert handshake(port, named) in (400, 403)


def test_localhost_without_a_port_is_accepted(port: int) -> None:
    assert handshake(port, "localhost") == 101
    assert handshake(port, "evil.example") in (400, 403)
