"""The web UI's "Skip Early CFG": its first calls without guidance, as our guidance_start.

In `modules/sd_samplers_cfg_denoiser.py` call i of `total_steps` is without guidance where
i / total_steps <= the share, so that any share above 0 skips the first. Ours begins at call
int(guidance_start * calls). What is skipped is the same, but with AND: there the web UI takes the
first part in the negative prompt's place, and here the negative prompt stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.diffusion.recipe.guidance.methods import guided_calls
from core.diffusion.recipe.limits import MAX_STEPS
from core.diffusion.recipe.prompt.texts import joins
from core.diffusion.recipe.schedule import step_range
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings

KEY = "Skip Early CFG"
_TWO_CALLS = frozenset({"Heun", "DPM2", "DPM2 a", "DPM++ SDE"})
"""Samplers whose total_steps are twice their steps (`second_order` in sd_samplers_kdiffusion.py),
of those that we have.
"""
_MOST_DIGITS = 6


def early_words(settings: GenerationSettings) -> dict[str, str]:
    """The share by which the web UI skips as many calls, of the fewest digits; {} where guidance
    begins at once, or it would skip others.
    """
    calls = step_range(settings).calls(SCHEDULERS[settings.scheduler])
    skipped = guided_calls(settings, calls).start
    if not skipped or joins(settings.prompt):
        return {}
    total = _total_steps(settings)
    skipped = _among(skipped, calls, total)
    for digits in range(1, _MOST_DIGITS + 1):
        share = max(-(-(skipped - 1) * 10**digits // total), 1) / 10**digits
        if _skipped(share, total) == skipped:
            return {KEY: f"{share:g}"}
    return {}


def take_early(found: Mapping[str, str], values: dict[str, Any]) -> list[str]:
    """Read the share into `values` as guidance_start, where they have none of our own; what must be
    said where it is not used.
    """
    if KEY not in found or "guidance_start" in values:
        return []
    left_out = f"{KEY} ({found[KEY][:60]})"
    try:
        share = float(found[KEY])
    except ValueError:
        return [f"{left_out} is not a number: left unchanged."]
    steps = values.get("num_inference_steps", 0)
    if not 0 <= share <= 1:
        return [f"{left_out} is outside 0 to 1: left unchanged."]
    if not 1 <= steps <= MAX_STEPS or "scheduler" not in values:
        return [f"{left_out} is left out: the text does not say of how many calls."]
    settings = GenerationSettings(scheduler=values["scheduler"], num_inference_steps=steps)
    if joins(values["prompt"]):
        return [f"{left_out} is left out: with AND it also changes what the web UI guides from."]
    calls, total = SCHEDULERS[settings.scheduler].calls(steps), _total_steps(settings)
    values["guidance_start"] = _start(_among(_skipped(share, total), total, calls), calls)
    return []


def _total_steps(settings: GenerationSettings) -> int:
    """The calls by which the web UI counts: in image-to-image one step more than are denoised."""
    steps = settings.num_inference_steps
    if settings.init_image and not settings.exact_steps:
        steps = int(min(settings.strength, 0.999) * steps) + 1
    is_twice = SCHEDULERS[settings.scheduler].a1111_sampler in _TWO_CALLS
    return steps * 2 if is_twice else steps


def _skipped(share: float, total: int) -> int:
    """Calls that the web UI skips, by its own comparison."""
    return sum(call / total <= share for call in range(total)) if share else 0


def _among(skipped: int, calls: int, others: int) -> int:
    """As many calls of another number of them: the same where they differ by those of a last step
    alone, or else the same share.
    """
    if abs(calls - others) <= 1:
        return min(skipped, others)
    return round(skipped * others / calls)


def _start(skipped: int, calls: int) -> float:
    """The least share of four digits of which int(share * calls) are skipped."""
    share = -(-skipped * 10_000 // calls)
    while int(share / 10_000 * calls) < skipped:
        share += 1
    return share / 10_000
