"""Guidance: how the UNet's predictions of one call become one. By `METHODS`' names.

Whatever is called `settings` here has the guidance's settings; a program shows these functions as
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from core.diffusion.recipe.guidance.methods import (
    APG,
    CFG,
    CFG_PP,
    PAG,
    ZERO_STAR,
    GuidanceSettings,
    acting_method,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """What the UNet says of one image in UNet call `call` (from 0), (1, C, h, w) each, of a run
    that `is_guided` in any call.

    `uncond` and `perturbed` are None where the call has no such row. `carried` is the running
    average of cond - uncond that the calls before have left, None at the first.
    """

    call: int
    is_guided: bool
    cond: torch.Tensor
    uncond: torch.Tensor | None = None
    perturbed: torch.Tensor | None = None
    carried: torch.Tensor | None = None


def guide(said: Said, settings: GuidanceSettings) -> torch.Tensor:
    """Put the predictions of a call together, (1, C, h, w); guidance_rescale comes last.

    Without another row it is the prompt's prediction. Source of the rescaling: Lin et al. 2023,
    sec. 3.4.
    """
    is_zero = settings.guidance_method == ZERO_STAR and said.call < settings.zero_init_steps
    if is_zero and said.is_guided:
        return torch.zeros_like(said.cond)
    if said.uncond is None and said.perturbed is None:
        return said.cond
    guided = GUIDES[acting_method(settings)](said, settings)
    if settings.guidance_rescale > 0:
        guided = rescale_noise_cfg(guided, said.cond, guidance_rescale=settings.guidance_rescale)
    return guided


def composed(
    conds: Sequence[torch.Tensor], weights: Sequence[float], uncond: torch.Tensor | None
) -> torch.Tensor:
    """Several prompts' predictions as one: Liu et al. 2022, eq. 11, before the guidance scale, as
    AUTOMATIC1111's AND has it. One alone is itself.
    """
    if uncond is None:
        return conds[0]
    found = uncond
    for cond, weight in zip(conds, weights, strict=True):
        found = found + weight * (cond - uncond)
    return found if conds[1:] else conds[0]


def cfg(said: Any, settings: GuidanceSettings) -> torch.Tensor:
    """Classifier-free guidance: Ho and Salimans 2022, eq. 6 with guidance_scale = 1 + w.

    The scale stays a Python number: as a bf16 tensor it would be rounded before it multiplies.
    """
    return said.uncond + settings.guidance_scale * (said.cond - said.uncond)


def apg(said: Any, settings: GuidanceSettings) -> torch.Tensor:
    """Adaptive projected guidance, Sadat et al. 2024, algorithm 1, as diffusers'
    AdaptiveProjectedGuidance applies it: to the model's own prediction.
    """
    buffer = MomentumBuffer(settings.apg_momentum)
    if said.carried is not None:
        buffer.running_average = said.carried
    return normalized_guidance(
        said.cond,
        said.uncond,
        settings.guidance_scale,
        buffer,
        settings.apg_eta,
        settings.apg_norm_threshold,
    )


def averaged(said: Any, settings: GuidanceSettings) -> torch.Tensor:
    """Return what APG carries to the next call: the running average with this call's difference."""
    before = 0 if said.carried is None else said.carried
    return said.cond - said.uncond + settings.apg_momentum * before


def zero_star(said: Any, settings: GuidanceSettings) -> torch.Tensor:
    """CFG-Zero*, Fan et al. 2025, as diffusers' ClassifierFreeZeroStarGuidance has it."""
    scale = cfg_zero_star_scale(said.cond.flatten(1), said.uncond.flatten(1))
    uncond = said.uncond * scale.view(-1, 1, 1, 1)
    return uncond + settings.guidance_scale * (said.cond - uncond)


def pag(said: Any, settings: GuidanceSettings) -> torch.Tensor:
    """Perturbed attention guidance, Ahn et al. 2024, beside classifier-free guidance where there is
    an unconditional prediction, as diffusers' PAGMixin has it.
    """
    away = settings.pag_scale * (said.cond - said.perturbed)
    if said.uncond is None:
        return said.cond + away
    return cfg(said, settings) + away


def renoised(
    latents: torch.Tensor,
    eps_uncond: torch.Tensor,
    eps_guided: torch.Tensor,
    scheduler: Any,
    timestep: torch.Tensor,
) -> torch.Tensor:
    """CFG++ (Chung et al. 2024, algorithm 2): the latents after the scheduler's step from
    `timestep`, with the unconditional noise in the place of the guided one.
    """
    share = float(noise_share(scheduler, timestep))
    return latents + (share * (eps_uncond - eps_guided)).to(latents.dtype)


def noise_share(scheduler: Any, timestep: torch.Tensor) -> torch.Tensor:
    """Return how much noise the latents hold after the scheduler's step: of Euler and DDIM."""
    if hasattr(scheduler, "sigmas"):
        return scheduler.sigmas[scheduler.step_index]  # which the step has moved on
    config = scheduler.config
    following = int(timestep) - config.num_train_timesteps // scheduler.num_inference_steps
    abar = scheduler.alphas_cumprod[following] if following >= 0 else scheduler.final_alpha_cumprod
    return (1 - abar) ** 0.5


GUIDES: Mapping[str, Callable[[Said, GuidanceSettings], torch.Tensor]] = {
    CFG: cfg,
    APG: apg,
    ZERO_STAR: zero_star,
    CFG_PP: cfg,
    PAG: pag,
}
