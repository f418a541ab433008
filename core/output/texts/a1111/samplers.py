"""The web UI's "Sampler" and "Schedule type": one choice there, up to three settings here."""

from __future__ import annotations

from typing import Any

from core.diffusion.recipe.sampler import AUTOMATIC, plain_sampler, unfit
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerRow
from core.diffusion.settings import GenerationSettings

# What the web UI takes "Automatic" for. Samplers that stand here are written as "Uniform" when
# they use the model's own spacing, so that pasting our text there does not turn it into Karras.
_AUTOMATIC = {
    "DPM++ 2M": "Karras",
    "DPM++ SDE": "Karras",
    "DPM++ 2M SDE": "Exponential",
    "DPM2": "Karras",
    "DPM2 a": "Karras",
}
_PLAIN = ("", "automatic", "uniform", "normal", "default")
_SUFFIXES = ("karras", "exponential", "polyexponential", "sgm uniform", "uniform")
_SCHEDULES = {name: name.capitalize() for name in ("karras", "exponential", "beta", "uniform")}
_SGM_UNIFORM = "SGM Uniform"
"""Diffusers' trailing spacing, but for rounding (its guide from k-diffusion's names says so)."""

_LONGEST = 60


def sampler_words(settings: GenerationSettings) -> dict[str, str]:
    """Sampler and schedule type as the web UI names them."""
    name, schedule = plain_sampler(settings)
    row = SCHEDULERS.get(name)
    if row is None:
        return {"Sampler": name}
    if schedule != AUTOMATIC:
        written = _SCHEDULES.get(schedule, schedule)
    elif settings.timestep_spacing == "trailing":
        written = _SGM_UNIFORM
    else:
        written = _own_schedule(row)
    return {"Sampler": row.a1111_sampler, "Schedule type": written}


def find_sampler(sampler: str, schedule: str = "") -> tuple[dict[str, Any], list[str]]:
    """Our settings for the web UI's sampler and schedule type, and what must be said.

    Older texts carry the schedule inside the sampler's name ("DPM++ 2M Karras"). {} when the
    sampler is not in the table: an unknown name is said, never guessed.
    """
    sampler, schedule = sampler.strip(), schedule.strip()
    if schedule.lower() in _PLAIN:
        for suffix in _SUFFIXES:
            if sampler.lower().endswith(" " + suffix):
                schedule, sampler = sampler[-len(suffix) :], sampler[: -len(suffix) - 1].strip()
                break
    rows = [
        row
        for row in SCHEDULERS.values()
        if sampler.lower() in (row.a1111_sampler.lower(), row.name.lower())
    ]
    if not rows:
        known = f"Sampler {_short(sampler)!r} is not known here: the scheduler is left unchanged."
        return {}, [known]
    wanted = schedule.lower()
    for row in rows:
        if _plain(row.a1111_schedule.lower()) == _plain(wanted):
            return {"scheduler": row.name}, []
    plain, field, value = {"scheduler": rows[0].name}, "sigma_schedule", wanted
    if wanted == _SGM_UNIFORM.lower():
        field, value = "timestep_spacing", "trailing"
    values: dict[str, Any] = plain | {field: value}
    is_known = value == "trailing" or value in _SCHEDULES
    if is_known and not unfit(GenerationSettings(**values), field):
        return values, []
    return plain, [
        f"Schedule type {_short(schedule)!r} is not available with {rows[0].name}: "
        "its own spacing of the steps is used, so the picture will differ."
    ]


def _plain(schedule: str) -> str:
    return "" if schedule in _PLAIN else schedule


def _own_schedule(row: SchedulerRow) -> str:
    if row.a1111_schedule == "Automatic" and row.a1111_sampler in _AUTOMATIC:
        return "Uniform"
    return row.a1111_schedule


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
