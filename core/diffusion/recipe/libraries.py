"""The large libraries, whose first import takes seconds. Imports none of them itself."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any, Literal

_lock = threading.Lock()


def library(name: Literal["diffusers", "transformers"]) -> Any:
    """The library, imported by one thread at a time: call it before the first `from name import`.

    While either is imported it puts another module object in its own place. A thread that waits
    for that import in Python's own way is handed the first object, which has no classes: a page
    that laid out a schedule while the worker loaded its model left one of them without.
    """
    with _lock:
        importlib.import_module(name)
        return sys.modules[name]
