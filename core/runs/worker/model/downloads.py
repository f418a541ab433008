"""Downloads: models on their way from the hub, each in a thread beside the worker.

A download needs no engine: pictures go on being made while it runs. Imports no torch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from core.diffusion.models.download import DownloadProgress, DownloadStoppedError, Report
from core.diffusion.models.load import ModelError, ensure_here
from core.runs.worker.model.source import first_line

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Download:
    """How far one is. `reason` says why it failed; bytes are 0 of 0 before the hub has answered."""

    source: str
    state: Literal["running", "done", "stopped", "failed"] = "running"
    done: int = 0
    total: int = 0
    reason: str = ""

    def __str__(self) -> str:
        """A line for a person."""
        return str(DownloadProgress(source=self.source, done=self.done, total=self.total))


class Downloads:
    """The downloads of one process. One model is fetched once at a time, whoever asks for it."""

    def __init__(self, fetch: Callable[[str, Report], object] = ensure_here) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[str, Download] = {}
        self._stopping: set[str] = set()

    def start(self, source: str) -> None:
        """Begins one, unless it runs already. One that was stopped goes on where it was."""
        with self._lock:
            known = self._known.get(source)
            if known is not None and known.state == "running":
                self._stopping.discard(source)
                return
            self._stopping.discard(source)
            self._known[source] = Download(source=source)
        threading.Thread(
            target=self._run, args=(source,), name=f"lightbox-download {source}", daemon=True
        ).start()

    def stop(self, source: str) -> None:
        """Ends it with the piece in hand; what has come stays."""
        with self._lock:
            self._stopping.add(source)

    def forget(self, source: str) -> None:
        """Forget a download that is over, so that it is no longer spoken of."""
        with self._lock:
            if (known := self._known.get(source)) and known.state != "running":
                del self._known[source]

    def state(self, source: str) -> Download | None:
        return self._known.get(source)

    def known(self) -> list[Download]:
        """All that are not forgotten, in the order of asking."""
        with self._lock:
            return list(self._known.values())

    def _run(self, source: str) -> None:
        def report(progress: DownloadProgress) -> None:
            with self._lock:
                if source in self._stopping:
                    raise DownloadStoppedError(f"The download of {source} was stopped.")
                known = self._known[source]
                self._known[source] = replace(known, done=progress.done, total=progress.total)

        try:
            self._fetch(source, report)
        except DownloadStoppedError as error:
            self._end(source, "stopped", str(error))
        except ModelError as error:
            self._end(source, "failed", str(error))
        except Exception as error:
            log.exception("Downloading %s failed", source)
            self._end(source, "failed", f"{source} could not be downloaded: {first_line(error)}")
        else:
            self._end(source, "done", "")

    def _end(self, source: str, state: Literal["done", "stopped", "failed"], reason: str) -> None:
        with self._lock:
            self._known[source] = replace(self._known[source], state=state, reason=reason)


downloads = Downloads()
"""The one of this process: every tab sees the same."""
