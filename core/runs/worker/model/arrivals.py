"""Arrivals: models that waiting work needs and the hub has, on their way beside the worker."""

from __future__ import annotations

from collections.abc import Callable, Collection

from core.diffusion.models.download import Report
from core.diffusion.models.load import ModelError
from core.runs.worker.model.downloads import Downloads


class Arrivals:
    """Models on their way, for one thread: it goes on with other models while these come."""

    def __init__(
        self, fetch: Callable[[str, Report], object], is_elsewhere: Callable[[str], bool]
    ) -> None:
        self._downloads = Downloads(fetch)
        self._is_elsewhere = is_elsewhere

    def __bool__(self) -> bool:
        return bool(self._downloads.known())

    def __str__(self) -> str:
        """How far each is, for a person."""
        return " ".join(str(one) for one in self._downloads.known() if one.state == "running")

    def is_awaited(self, source: str) -> bool:
        """Return whether a model is on its way, which begins where it has to come.

        Raises ModelError, once, where it could not come.
        """
        known = self._downloads.state(source)
        if known is None:
            if not self._is_elsewhere(source):
                return False
            self._downloads.start(source)
            return True
        if known.state == "running":
            return True
        self._downloads.forget(source)
        if known.state == "failed":
            raise ModelError(known.reason)
        if known.state == "stopped":  # and asked for again since
            self._downloads.start(source)
            return True
        return False

    def follow(self, wanted: Collection[str]) -> bool:
        """Stop what nobody wants any more. Return whether one that is wanted has ended."""
        for one in self._downloads.known():
            if one.source not in wanted:
                self._downloads.stop(one.source)
                self._downloads.forget(one.source)
        return any(one.state != "running" for one in self._downloads.known())
