"""A cell's own scheduler, laid out as its settings have it; steps that diffusers does not take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from core.diffusion.recipe.sampler import added, sampler_of, step_options
from core.diffusion.recipe.schedule import LAYOUTS, lay_out
from core.diffusion.recipe.schedulers import SchedulerError
from core.diffusion.settings import GenerationSettings, Problem, SettingsError


def laid_out(settings: GenerationSettings, steps: int, config: Mapping[str, Any]) -> Any:
    """The scheduler with `steps` steps laid out, for a model whose `scheduler_config.json` is
    `config`. Raises SettingsError.
    """
    row = sampler_of(settings)
    try:
        scheduler = row.build(config)
    except SchedulerError as error:
        raise SettingsError([Problem(field="scheduler", reason=str(error))]) from error
    for method, (_, options) in added(settings).items():
        function = {"set_timesteps": LAYOUTS, "step": STEPS}[method][settings.scheduler]
        setattr(scheduler, method, functools.partial(function, scheduler, **options))
    # Timesteps stay on the CPU: reading one from the device would wait for it every step.
    reason = lay_out(row, scheduler, steps, config)
    if reason:
        raise SettingsError([Problem(field="num_inference_steps", reason=reason)])
    return scheduler


def step_kwargs(
    settings: GenerationSettings, scheduler: Any, generator: torch.Generator
) -> dict[str, Any]:
    """What the scheduler's `step` is called with beside prediction, timestep and latents."""
    draws = sampler_of(settings).takes_generator(scheduler)
    return step_options(settings) | ({"generator": generator} if draws else {})


def ancestral_step(
    scheduler: Any,
    prediction: torch.Tensor,
    timestep: torch.Tensor,
    latents: torch.Tensor,
    generator: torch.Generator | None = None,
    return_dict: bool = False,
    *,
    eta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a step of EulerAncestralDiscreteScheduler whose noise is `eta` times as strong: 0 is
    Euler's step, 1 is its own. Returns the next latents and the predicted x0, (1, C, h, w).

    Source: k-diffusion's get_ancestral_step and sample_euler_ancestral, in the order of diffusers.
    """
    if scheduler.step_index is None:
        scheduler._init_step_index(timestep)
    at: int = scheduler._step_index
    sigma, target = scheduler.sigmas[at : at + 2]
    x = latents.float()
    if scheduler.config.prediction_type == "v_prediction":
        x0 = prediction * (-sigma / (sigma**2 + 1) ** 0.5) + x / (sigma**2 + 1)
    else:
        x0 = x - sigma * prediction
    up = eta * (target**2 * (sigma**2 - target**2) / sigma**2) ** 0.5
    down = (target**2 - up**2) ** 0.5
    stepped = x + (x - x0) / sigma * (down - sigma)
    noise = randn_tensor(
        prediction.shape, generator=generator, device=prediction.device, dtype=prediction.dtype
    )
    scheduler._step_index = at + 1
    return (stepped + noise * up).to(prediction.dtype), x0


def churned_step(
    scheduler: Any,
    prediction: torch.Tensor,
    timestep: torch.Tensor,
    latents: torch.Tensor,
    generator: torch.Generator | None = None,
    return_dict: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a call of HeunDiscreteScheduler whose levels are raised; after the second call of a step
    add the noise up to the level at which the next begins. Returns the next latents and the
    predicted x0, (1, C, h, w).

    Source: Karras et al. 2022, algorithm 2, lines 5 and 6; k-diffusion's sample_heun.
    """
    ends = not scheduler.state_in_first_order
    stepped, x0 = type(scheduler).step(scheduler, prediction, timestep, latents, return_dict=False)
    if ends:
        sigma, raised = scheduler.sigmas[scheduler.step_index - 1 : scheduler.step_index + 1]
        noise = randn_tensor(
            prediction.shape, generator=generator, device=prediction.device, dtype=prediction.dtype
        )
        stepped = stepped + noise * (raised**2 - sigma**2) ** 0.5
    return stepped, x0


STEPS: Mapping[str, Callable[..., Any]] = {"Euler a": ancestral_step, "Heun": churned_step}
"""Scheduler -> what ADDED has in the place of its `step`."""
