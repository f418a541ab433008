"""Pace: how fast a model computes on this machine, and so how long a sweep will take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from core.diffusion.models.info import ModelInfo
from core.diffusion.recipe.limits import MAX_ROWS
from core.diffusion.settings import GenerationSettings
from core.sweeps.work import rows_of, runs_of, work_of

LIKE = 2.0
"""Batches of up to so many times the rows, and down to as small a part, are alike."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """UNet rows times pixels a second. `is_like`: measured in batches like those asked about; if
    not, smaller ones were, and a large batch takes less time.
    """

    row_pixels_per_second: float
    is_like: bool


FindPace = Callable[[ModelInfo, int], Pace | None]
"""The pace of a model in batches of so many rows; None where none was measured."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds of computing; `is_like` as in Pace."""

    seconds: float
    is_like: bool

    @property
    def about(self) -> str:
        """The word before the time: "up to" where it is a bound."""
        return "about" if self.is_like else "up to"


def estimate(
    images: Iterable[GenerationSettings], infos: Mapping[str, ModelInfo], find: FindPace
) -> Estimate | None:
    """How long these images will take; None where the pace of one of their models is unknown."""
    by_model: dict[str, list[GenerationSettings]] = {}
    for settings in images:
        by_model.setdefault(settings.model, []).append(settings)
    seconds, is_like = 0.0, True
    for model, wanted in by_model.items():
        runs = runs_of(wanted, infos)
        together = min(MAX_ROWS, sum(rows_of(run, infos.get(model)) for run, _ in runs))
        pace = find(infos[model], together)
        if pace is None:
            return None
        seconds += work_of(wanted, infos) / pace.row_pixels_per_second
        is_like = is_like and pace.is_like
    return Estimate(seconds=seconds, is_like=is_like)
