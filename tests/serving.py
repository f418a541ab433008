"""A server of the app in a process of its own, on a free port of this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(
    command: Sequence[object], *, port_option: str, cwd: Path, log: Path, **environment: str
) -> Iterator[str]:
    """The address of what `command` serves, once it is healthy; ended afterwards, without which
    the port would stay taken. Fails with its log where it ends by itself.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*map(str, command), port_option, str(port)],
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: process.poll() is not None or is_healthy(url), "the server")
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(30)
    wait_until(lambda: not is_healthy(url), "the server's end")


def is_healthy(url: str) -> bool:
    try:
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition: Callable[[], object], what: str, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
