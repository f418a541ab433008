from __future__ import annotations

from pathlib import Path

import pytest

from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import Lab, describe
from tests.core.runs.tasks import make

__all__ = ["lab", "make", "queue", "store"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, describe=describe)


@pytest.fixture
def lab() -> Lab:
    return Lab()
