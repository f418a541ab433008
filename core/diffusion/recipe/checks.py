"""What is wrong between settings: each by itself may be sound, and not go with the others."""

from __future__ import annotations

from dataclasses import replace

from core.diffusion.recipe.limits import MAX_STEPS
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.problems import Problem
from core.diffusion.recipe.schedule import schedule_steps, step_range
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.setting import Settings
from core.diffusion.recipe.variations import VariationError, read_region, variations_of


def snapshot_problems(settings: Settings) -> list[Problem]:
    """Only the engine knows how many calls are left where the noise is matched."""
    begin = step_range(replace(settings, strength=1.0) if settings.match_noise else settings)
    calls = begin.calls(SCHEDULERS[settings.scheduler])
    if settings.snapshot <= calls:
        return []
    reason = (
        f"{settings.snapshot} is outside 0 to {calls}, the UNet calls of "
        f"{begin.num_executed_steps} steps of {settings.scheduler}"
    )
    return [Problem(field="snapshot", reason=reason)]


def variation_problems(settings: Settings, vae_scale_factor: int) -> list[Problem]:
    """What is wrong with the variations, of those that have an effect."""
    try:
        variations = variations_of(settings)
    except VariationError as error:
        return [Problem(field="variation_chain", reason=str(error))]
    found: list[Problem] = []
    for variation in variations:
        is_last = settings.variation_strength > 0 and variation is variations[-1]
        method = METHODS.get(variation.method)
        if method is not None and method.uses == "variation_region":
            try:
                read_region(variation.region, width=settings.width, height=settings.height)
            except VariationError as error:
                field = "variation_region" if is_last else "variation_chain"
                found.append(Problem(field=field, reason=str(error)))
        is_low = settings.height < 2 * vae_scale_factor  # a column of one has no direction
        if variation.method == "column_slerp" and is_low:
            reason = f"of columns needs a height of at least {2 * vae_scale_factor}"
            found.append(Problem(field="variation_method", reason=reason))
    return found


def source_problems(settings: Settings) -> list[Problem]:
    """What is wrong between the settings of image-to-image."""
    found: list[Problem] = []
    if settings.mask_image and not settings.init_image:
        reason = "needs a source picture: what is black in it stays as the source has it"
        found.append(Problem(field="mask_image", reason=reason))
    if settings.init_image and settings.exact_steps and 0 < settings.strength <= 1:
        total = schedule_steps(settings.num_inference_steps, settings.strength, True)
        if total > MAX_STEPS:
            reason = (
                f"{settings.strength:g} is too small for exactly {settings.num_inference_steps} "
                f"steps: their schedule would have {total}, and {MAX_STEPS} is the most"
            )
            found.append(Problem(field="strength", reason=reason))
    return found
