"""Threads that outlast Python's own pools at the end of a program, and no longer than needed."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time

import pytest

from core.diffusion.sampling.compute.threads import Threads


def test_results_come_in_order_and_errors_come_out() -> None:
    pool = Threads(3, "test")
    assert pool.map(lambda x: x * x, range(20)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda x: 1 // x, [1, 0, 2])
    assert pool.submit(pow, 2, 5).result() == 32, "an error ends no thread"


def test_every_thread_is_prepared_before_any_work() -> None:
    prepared: list[str] = []
    pool = Threads(3, "test", lambda: prepared.append(threading.current_thread().name))
    assert sorted(prepared) == ["test-0", "test-1", "test-2"]
    assert pool.submit(len, prepared).result() == 3


def test_the_threads_end_with_the_object() -> None:
    def alive() -> int:
        return sum(thread.name.startswith("ending") for thread in threading.enumerate())

    pool = Threads(2, "ending")
    assert alive() == 2
    del pool
    gc.collect()
    deadline = time.monotonic() + 20
    while alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_work_is_taken_until_the_program_has_ended() -> None:
    code = (
        "import atexit; from core.diffusion.sampling.compute.threads import Threads;"
        "pool = Threads(1, 'late');"
        "atexit.register(lambda: print(pool.submit(pow, 2, 5).result()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("32", "")
