"""Ctrl+C on the program while the real engine is at work: nothing fails, everything waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")

APP = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from core.runs.worker.worker import Worker
Worker.shared(Path(sys.argv[1]))
try:
    time.sleep(600)
except KeyboardInterrupt:
    ThreadPoolExecutor().submit(time.sleep, 1)
"""
"""Something of the server's is under way in a pool: Python waits for it, with all pools closed."""


def test_cells_in_flight_wait_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    queue = Queue(store)
    wanted = [
        GenerationSettings(
            prompt="a red apple", seed=seed, width=64, height=64, num_inference_steps=steps
        )
        for seed, steps in enumerate([2, *[900] * 7])
    ]
    job_id = queue.submit(wanted, owner="me", token="1")
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(store.folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "2"},  # so that each core has rows of its own
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: queue.cells(job_id)[0].state == "done", seconds=120)
        app.send_signal(signal.SIGINT)
        _, log = app.communicate(timeout=60)
    finally:
        app.kill()
    assert app.returncode == 0, log
    assert [cell.state for cell in queue.cells(job_id)] == ["done", *["pending"] * 7]
    assert [cell.reason for cell in queue.cells(job_id)] == [""] * 8
    assert "Traceback" not in log
