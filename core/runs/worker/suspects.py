"""One bad thing never stops the rest: what the worker was looking at when an error came."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.runs.worker.dispatch import Dispatch
from core.runs.worker.model.source import first_line
from core.runs.worker.waiting import Waiting

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)


class Suspects:
    """Sets aside what the same unexpected error came up over twice. For one thread."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._subject: Waiting | str | None = None
        self._met: set[tuple[type[Exception], str]] = set()

    @contextmanager
    def over(self, subject: Waiting | str) -> Generator[None]:
        """Note that a waiting cell, or a model by its source, is in hand meanwhile; after an error
        it stays.
        """
        self._subject = subject
        yield
        self._subject = None

    def clear(self) -> None:
        """Nothing is in hand any more."""
        self._subject = None

    @property
    def are_there(self) -> bool:
        """Return whether something is in hand, so that what is in flight is not to be blamed."""
        return self._subject is not None

    def met(self, error: Exception) -> None:
        """An error that nobody foresaw. The first time it may pass; raises StoreError."""
        name, subject = (type(error), str(error)), self._subject
        if name not in self._met:
            self._met.add(name)
            return
        reason = (
            f"Set aside: the worker met the same unexpected error over it twice "
            f"({first_line(error)}). The log has the details; try again, and report it if it stays."
        )
        if isinstance(subject, Waiting):
            self._dispatch.fail_cell(subject, reason)
        elif subject is not None:
            self._dispatch.fail_model(subject, reason)
