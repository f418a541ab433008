"""Failures: reasons that are remembered until they are written, so that a full disk loses none."""

from __future__ import annotations

from collections.abc import Iterable

from core.runs.worker.dispatch import Dispatch
from core.runs.worker.model.source import first_line


class Failures:
    """Keep reasons by digest, of images whose cells fail; used by one thread. Raises StoreError."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._unwritten: dict[str, str] = {}

    def fail(self, digest: str, reason: str) -> None:
        """Write why an image failed; where that is impossible now, `write` does it later."""
        self._unwritten[digest] = reason
        self._dispatch.fail(digest, reason)
        del self._unwritten[digest]

    def remember(self, digests: Iterable[str], error: Exception) -> None:
        """An error that nobody foresaw, for the next `write`."""
        self._unwritten |= dict.fromkeys(digests, unexpected(error))

    def write(self) -> None:
        """Write down what could not be written before."""
        for digest, reason in list(self._unwritten.items()):
            self.fail(digest, reason)


def unexpected(error: Exception) -> str:
    """An error that nobody foresaw, for the person who asked for the picture."""
    return (
        f"Computing stopped on an unexpected error: {first_line(error)}. The log has the "
        "details; try again, and report it if it stays."
    )
