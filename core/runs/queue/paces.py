"""Paces: how fast this machine has computed, from the pictures in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.diffusion.models.info import ModelInfo
from core.diffusion.settings import GenerationSettings
from core.runs.store.rows import UNREADABLE, read_settings
from core.runs.store.store import Store
from core.sweeps.pace import LIKE, Pace
from core.sweeps.work import work_of

MEASURED = 200
"""The newest pictures of a model that are looked at."""

ENOUGH = 40
"""Pictures of like batches that a pace is taken from: more would be of longer ago."""

SECONDS_A_ROW = {2: 1.0, 4: 0.74, 8: 0.69, 16: 0.60, 32: 0.56}
"""On a CPU, by the rows of a batch, to those in a batch of 2 (benchmarks/RESULTS.md, "Growth").
A GPU gains several times more, and how much differs: there a small batch's pace is a bound.
"""


@dataclass(frozen=True, kw_only=True)
class _Made:
    settings: GenerationSettings
    seconds: float
    rows: int
    device: str


class Paces:
    """Each picture's own share of the seconds counts, so that waiting, loading and what else was
    in the batch do not. For any thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[str, list[_Made]]] = {}

    def find(self, model: ModelInfo, rows: int) -> Pace | None:
        """The pace in the newest batches like one of `rows`, else in those that are nearest,
        on a CPU with what a larger batch gains there.

        Only what the device that computed last has made counts.
        """
        made = self._made(model.fingerprint)
        made = [one for one in made if one.device == made[0].device]
        if not made:
            return None
        like = [one for one in made if rows / LIKE <= one.rows <= rows * LIKE]
        nearest = min((one.rows for one in made), key=lambda other: _apart(other, rows))
        chosen = (like or [one for one in made if one.rows == nearest])[:ENOUGH]
        infos = {one.settings.model: model for one in chosen}
        work = work_of([one.settings for one in chosen], infos)
        seconds = sum(one.seconds for one in chosen)
        if not like and nearest < rows and made[0].device == "cpu":
            return Pace(row_pixels_per_second=work / seconds * _gain(nearest, rows), is_like=True)
        return Pace(row_pixels_per_second=work / seconds, is_like=bool(like) or nearest > rows)

    def _made(self, fingerprint: str) -> list[_Made]:
        """The newest pictures of a model that took time, read again when there is a newer one."""
        rows = self._store.database.read(
            "SELECT digest FROM images WHERE model_fingerprint = ?"
            " ORDER BY created_at DESC, digest LIMIT 1",
            (fingerprint,),
        )
        newest = rows[0][0] if rows else ""
        known = self._read.get(fingerprint)
        if known is None or known[0] != newest:
            known = self._read[fingerprint] = (newest, self._newest(fingerprint))
        return known[1]

    def _newest(self, fingerprint: str) -> list[_Made]:
        found: list[_Made] = []
        for settings, seconds, computed in self._store.database.read(
            "SELECT settings, seconds, computed FROM images"
            " WHERE model_fingerprint = ? AND seconds > 0"
            " ORDER BY created_at DESC, digest LIMIT ?",
            (fingerprint, MEASURED),
        ):
            try:
                how = json.loads(computed)
                one = read_settings(settings)
                made = _Made(
                    settings=one,
                    seconds=float(seconds),
                    rows=int(how["rows"]),
                    device=str(how["device"]),
                )
            except UNREADABLE:
                continue
            if made.rows > 0 and work_of([one], {}) > 0:
                found.append(made)
        return found


def _gain(fewer: int, more: int) -> float:
    """How many times as fast a row of a CPU's batch of `more` rows is as one of `fewer`."""

    def seconds(rows: int) -> float:
        return SECONDS_A_ROW[min(SECONDS_A_ROW, key=lambda known: _apart(known, rows))]

    return seconds(fewer) / seconds(more)


def _apart(one: int, other: int) -> float:
    """How many times as large the larger is."""
    return max(one / other, other / one)
