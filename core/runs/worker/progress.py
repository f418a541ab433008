"""Progress: what the worker tells those who look, at a rate that does not slow the work."""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from core.runs.worker.dispatch import Dispatch

WRITES_PER_SECOND = 10
PREVIEWS_PER_SECOND = 4
PACE_SECONDS = 15.0


class Progress:
    """Collects steps and previews of the cells in flight; writes them in one transaction.

    Also measures the pace of each job, in steps (UNet calls of a cell) a second, over the last
    seconds of its work. `now` is a monotonic clock.
    """

    def __init__(self, dispatch: Dispatch, *, now: Callable[[], float] = time.monotonic) -> None:
        self._dispatch = dispatch
        self._now = now
        self._steps: dict[str, tuple[int, int]] = {}
        self._previews: dict[str, bytes] = {}
        self._shown: dict[str, float] = {}
        self._last_preview = self._last_write = float("-inf")
        self._counts: dict[str, int] = {}
        self._samples: dict[str, deque[tuple[float, int]]] = {}

    def choose_previews(
        self, in_flight: Mapping[str, set[str]], watched: Mapping[str, float]
    ) -> set[str]:
        """The digests to make previews of in the next step: of jobs that someone looks at, those
        not seen for longest. As many as the time since the last ones allows: a slow step shows
        more cells at once. Empty when nobody looks, or some were made just now.
        """
        now = self._now()
        clock = time.time()
        seen = {job_id for job_id, until in watched.items() if until > clock}
        candidates = [digest for digest, jobs in in_flight.items() if jobs & seen]
        candidates.sort(key=lambda digest: self._shown.get(digest, float("-inf")))
        allowed = min(len(candidates), (now - self._last_preview) * PREVIEWS_PER_SECOND)
        return set(candidates[: int(allowed)])

    def admitted(self, job_id: str) -> None:
        """The job's time runs from its first cell's admission: the first step counts in full."""
        if job_id not in self._samples:
            self._counts[job_id] = 0
            self._samples[job_id] = deque([(self._now(), 0)])

    def started(self, digest: str, total: int) -> None:
        self._steps[digest] = (0, total)

    def stepped(self, digest: str, jobs: set[str], step: int, total: int, preview: Any) -> None:
        """`preview` is a uint8 array (h, w, 3), or None."""
        self._steps[digest] = (step, total)
        for job_id in jobs:
            self._counts[job_id] = self._counts.get(job_id, 0) + 1
        if preview is not None:
            buffer = io.BytesIO()
            Image.fromarray(preview).save(buffer, format="PNG", compress_level=1)
            self._previews[digest] = buffer.getvalue()
            self._shown[digest] = self._last_preview = self._now()

    def forget(self, digest: str) -> None:
        """The cell is no longer in flight."""
        for collected in (self._steps, self._previews, self._shown):
            collected.pop(digest, None)

    def write(self, active_jobs: set[str]) -> None:
        """Write what has collected, unless the last time was a moment ago."""
        now = self._now()
        if now - self._last_write < 1 / WRITES_PER_SECOND:
            return
        for job_id in set(self._samples) - active_jobs:
            del self._samples[job_id], self._counts[job_id]
        if not self._steps and not self._previews:
            return
        self._last_write = now
        self._dispatch.progress(self._steps, self._previews, self._paces(now))
        self._steps, self._previews = {}, {}

    def _paces(self, now: float) -> dict[str, float]:
        paces: dict[str, float] = {}
        for job_id, samples in self._samples.items():
            samples.append((now, self._counts[job_id]))
            while now - samples[0][0] > PACE_SECONDS and len(samples) > 2:
                samples.popleft()
            since, count = samples[0]
            if self._counts[job_id] > count and now > since:
                paces[job_id] = (self._counts[job_id] - count) / (now - since)
        return paces
