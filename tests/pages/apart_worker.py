"""The app's worker in a process of its own, on the folder of its argument, until stdin ends."""

from __future__ import annotations

import sys
from pathlib import Path

from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import GivenModels

store = Store(Path(sys.argv[1]))
worker = Worker(store, GivenModels(store.inputs.read, score=lambda *_: 25.0))
worker.start()
print("started", flush=True)
sys.stdin.read()
if not worker.stop(60):
    sys.exit("the worker did not stop")
