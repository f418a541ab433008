"""Worker processes to be killed: reads "FOLDER" or "FOLDER before-row" lines, forks one for each.

Prints the pid of each, and "gone" once it is dead. Forking from one process saves each worker the
seconds that importing torch takes. Cells of seed 13 never end. With "before-row" the worker kills
itself between writing a picture and committing its row.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from core.runs.store import store
from tests.core.runs.doubles import FakeEngine, Lab


def work(folder: Path, how: str) -> None:
    lab = Lab()

    def endless(engine: FakeEngine) -> None:
        for request, _ in engine.cells.values():
            if request.settings.seed == 13:
                threading.Event().wait(0.005)
                engine.cells[request.key] = (request, 1)

    lab.before_step = endless
    if how == "before-row":
        store.write_row = lambda *values: os.kill(os.getpid(), signal.SIGKILL)
    lab.worker(store.Store(folder)).start()
    threading.Event().wait(60)


def main() -> None:
    for line in sys.stdin:
        folder, _, how = line.strip().partition(" ")
        pid = os.fork()
        if pid == 0:
            work(Path(folder), how)
            os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
