"""Timetable: the UNet calls that a scheduler makes, before any is made. Imports no torch itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.diffusion.recipe.sampler import SIGMA_SCHEDULES
from core.diffusion.recipe.schedule import call_sigmas, lay_out
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerError, SchedulerRow

CallKind = Literal["step", "second", "again"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One UNet call. "second" is the look ahead of Heun and the midpoint of DPM2, inside the step
    that the call before began; "again" is PNDM's, which runs its first transition twice.
    """

    index: int
    timestep: float
    sigma: float
    kind: CallKind

    @property
    def log_snr(self) -> float:
        return -2 * math.log(self.sigma) if self.sigma > 0 else math.inf


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """The calls of `steps` steps. `spacing` and `schedule` (of SIGMA_SCHEDULES) are None as the
    model and the scheduler have them; `problem` says why there are no calls, "" where there are.
    """

    scheduler: str
    steps: int
    spacing: str | None
    schedule: str | None
    calls: tuple[Call, ...]
    problem: str = ""

    @property
    def label(self) -> str:
        """ "Euler · 10 steps · trailing · Karras"."""
        parts = [self.scheduler, f"{self.steps} step{'s' if self.steps != 1 else ''}"]
        parts += [self.spacing] if self.spacing else []
        parts += [self.schedule.capitalize()] if self.schedule else []
        return " · ".join(parts)


def timetable(
    scheduler: str,
    steps: int,
    config: Mapping[str, Any],
    *,
    spacing: str | None = None,
    schedule: str | None = None,
) -> Timetable:
    """The calls of a whole run, as diffusers' own scheduler lays them out for a model whose
    `scheduler_config.json` is `config`. `spacing` and `schedule` override what it says.
    """
    row = SCHEDULERS[scheduler]
    changed = dict(config)
    if spacing is not None:
        changed["timestep_spacing"] = spacing
    if schedule is not None:
        changed |= SIGMA_SCHEDULES[schedule]
    times: list[float] = []
    sigmas: list[float] = []
    try:
        built = row.build(changed)
    except SchedulerError as error:
        problem = str(error)
    else:
        problem = lay_out(row, built, steps, changed)
        if not problem:
            times = [float(t) for t in built.timesteps]
            sigmas = call_sigmas(row, built)
    calls = [
        Call(index=index, timestep=timestep, sigma=sigma, kind=_kind(row, index, len(times), steps))
        for index, (timestep, sigma) in enumerate(zip(times, sigmas, strict=True))
    ]
    return Timetable(
        scheduler=scheduler,
        steps=steps,
        spacing=spacing,
        schedule=schedule,
        calls=tuple(calls),
        problem=problem,
    )


def takes_spacing(scheduler: str) -> bool:
    """Return whether the diffusers class has `timestep_spacing`, and it matters: LCM does not read
    it, and fixed Karras levels lie where they lie.
    """
    row = SCHEDULERS[scheduler]
    return "timestep_spacing" in row.takes and "use_karras_sigmas" not in row.config


def takes_schedule(scheduler: str) -> bool:
    """Return whether the diffusers class can lay its noise levels in another way, and its row in
    SCHEDULERS leaves that open.
    """
    row = SCHEDULERS[scheduler]
    return "sigma_schedule" in row.takes and "use_karras_sigmas" not in row.config


def _kind(row: SchedulerRow, index: int, calls: int, steps: int) -> CallKind:
    if row.calls_per_step > 1 and index % 2:
        return "second"
    if row.repeats_first_transition and index == 1 and calls > steps:
        return "again"
    return "step"
