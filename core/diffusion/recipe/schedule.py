"""The steps of a run: where it begins, its timesteps and noise levels. Imports no torch itself.

Text to image begins at the first step of a schedule. Image-to-image begins later, and the places
where it does are counted here by arithmetic; only the noise levels themselves need diffusers.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from core.diffusion.recipe.sampler import SamplerSettings, added, sampler_of
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerRow

REFERENCE = "DDIM"
"""The scheduler whose starting noise the others are matched to: even steps of the timestep."""

MOST_STEPS = 1000
"""The densest schedule that is looked at: a model has as many timesteps."""


class RunSettings(SamplerSettings, Protocol):
    """The settings that say which steps are run; `GenerationSettings` are such."""

    @property
    def num_inference_steps(self) -> int: ...
    @property
    def snapshot(self) -> int: ...
    @property
    def init_image(self) -> str: ...
    @property
    def strength(self) -> float: ...
    @property
    def exact_steps(self) -> bool: ...
    @property
    def match_noise(self) -> bool: ...


class DecodedSettings(RunSettings, Protocol):
    """Those of a run and of what decodes it."""

    @property
    def vae(self) -> str: ...
    @property
    def posterior(self) -> str: ...


DecodedT = TypeVar("DecodedT", bound=DecodedSettings)


def denoised(settings: DecodedT) -> DecodedT:
    """The settings of the denoising run from which an image is decoded, equal for images that can
    share it: snapshots of one run, and pictures by several VAEs where none encodes a source.
    """
    is_encoded = settings.init_image and settings.posterior != "latents"
    return cast(
        DecodedT,
        replace(cast(Any, settings), snapshot=0, vae=settings.vae if is_encoded else ""),
    )


@dataclass(frozen=True, kw_only=True)
class StepRange:
    """A schedule of `schedule_steps` steps, of which the first `first_step` are left out."""

    schedule_steps: int
    first_step: int

    @property
    def num_executed_steps(self) -> int:
        return self.schedule_steps - self.first_step

    def calls(self, row: SchedulerRow) -> int:
        """UNet calls that are run; none where no step is left. (diffusers' img2img pipeline
        makes one more of PNDM then, since PNDM has a timestep more than steps.)
        """
        if self.num_executed_steps == 0:
            return 0
        return row.calls(self.schedule_steps) - self.first_call(row)

    def first_call(self, row: SchedulerRow) -> int:
        """The index of the first UNet call in the scheduler's own timesteps."""
        return self.first_step * row.calls_per_step


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an image-to-image run starts from: sqrt_abar * source + sqrt(1 - abar) * noise.

    `timestep`, `sigma` and `sqrt_abar` are those of the first call; where no step is left they
    are those of the clean picture: 0, 0 and 1.
    """

    num_executed_steps: int
    calls: int
    timestep: float
    sigma: float

    @property
    def sqrt_abar(self) -> float:
        return 1 / math.sqrt(1 + self.sigma**2)


def schedule_steps(steps: int, strength: float, exact_steps: bool) -> int:
    """Steps that the scheduler lays out: `steps`, or as AUTOMATIC1111's "with img2img, do exactly
    the amount of steps the slider specifies" has it, int(steps / min(strength, 0.999)).
    """
    if not exact_steps or strength <= 0:
        return steps
    return int(steps / min(strength, 0.999))


def step_range(
    settings: RunSettings, scheduler_config: Mapping[str, Any] | None = None
) -> StepRange:
    """Return where the run of these settings begins.

    diffusers' rule: min(int(n * strength), n) steps are run, rounded down, so that strength 0.99
    of 10 steps runs 9 and 0.58 of 50 runs 28. `match_noise` needs the model's
    `scheduler_config`; without it the plain rule is given.
    """
    steps = settings.num_inference_steps
    if not settings.init_image:
        return StepRange(schedule_steps=steps, first_step=0)
    total = schedule_steps(steps, settings.strength, settings.exact_steps)
    if settings.exact_steps:
        run = steps if settings.strength > 0 else 0
    else:
        run = min(int(total * settings.strength), total)
    plain = StepRange(schedule_steps=total, first_step=total - run)
    if settings.match_noise and run > 0 and scheduler_config is not None:
        return _matched(settings, plain, json.dumps(dict(scheduler_config), sort_keys=True))
    return plain


def unet_calls(settings: RunSettings, scheduler_config: Mapping[str, Any] | None = None) -> int:
    """UNet calls until these settings have their picture: to the snapshot, or to the end."""
    if settings.snapshot:
        return settings.snapshot
    return step_range(settings, scheduler_config).calls(SCHEDULERS[settings.scheduler])


def start_of(settings: RunSettings, scheduler_config: Mapping[str, Any]) -> Start:
    """Facts of an image-to-image run's first call. Raises ValueError for an impossible schedule."""
    begin, row = step_range(settings, scheduler_config), SCHEDULERS[settings.scheduler]
    calls = begin.calls(row)
    if calls == 0:
        return Start(num_executed_steps=0, calls=0, timestep=0.0, sigma=0.0)
    text = json.dumps(dict(scheduler_config), sort_keys=True)
    timesteps, sigmas = _levels_of(settings, begin.schedule_steps, text)
    at = begin.first_call(row)
    return Start(
        num_executed_steps=begin.num_executed_steps,
        calls=calls,
        timestep=timesteps[at],
        sigma=sigmas[at],
    )


def lay_out(row: SchedulerRow, scheduler: Any, count: int, config: Mapping[str, Any]) -> str:
    """Set the timesteps of `count` steps; return why they cannot be run, "" where they can.

    A schedule may be too dense for the model's own timesteps: steps_offset moves it beyond the
    last one, or rounding doubles some, which divides by zero.
    """
    last = int(config.get("num_train_timesteps", 1000)) - 1
    try:
        scheduler.set_timesteps(count)
    except ValueError as error:  # LCM has no more steps than its distillation
        return f"{row.name} cannot run {count} steps ({error}): use fewer"
    # Karras' spacing rounds several timesteps to one, but not their noise levels.
    levels: list[float] = getattr(scheduler, "sigmas", scheduler.timesteps)[:count].tolist()
    is_doubled = row.sigma_at == "sigmas" and row.calls_per_step == 1
    if float(scheduler.timesteps.max()) > last or (is_doubled and len(set(levels)) < count):
        return f"{count} steps of {row.name} are too many for {last + 1} timesteps: use fewer"
    return ""


def call_sigmas(row: SchedulerRow, scheduler: Any) -> list[float]:
    """The noise level that the model sees at each call of a scheduler whose timesteps are set."""
    calls = len(scheduler.timesteps)
    if row.sigma_at == "alphas_cumprod":
        abar = scheduler.alphas_cumprod[scheduler.timesteps.long()].double()
        return ((1 - abar) / abar).sqrt().tolist()
    sigmas: list[float] = scheduler.sigmas[:calls].tolist()
    if row.sigma_at == "sigmas_interpol":
        sigmas[1::2] = scheduler.sigmas_interpol[1:calls:2].tolist()
    elif row.sigma_at == "sigmas_interpol_before":
        sigmas[1::2] = scheduler.sigmas_interpol[0 : calls - 1 : 2].tolist()
    return sigmas


def _matched(settings: RunSettings, plain: StepRange, config: str) -> StepRange:
    """The beginning whose noise is nearest (in log sigma) to the one that DDIM would start from.

    With `exact_steps` the number of steps stays and the schedule is made denser or coarser, else
    the schedule stays and the number of steps changes.
    """
    row, run = sampler_of(settings), plain.num_executed_steps
    try:
        wanted = math.log(
            _levels(REFERENCE, "{}", (), plain.schedule_steps, config)[1][plain.first_step]
        )

        def distance(begin: StepRange) -> float:
            sigmas = _levels_of(settings, begin.schedule_steps, config)[1]
            return abs(math.log(sigmas[begin.first_call(row)]) - wanted)

        if not settings.exact_steps:
            total = plain.schedule_steps
            choices = [StepRange(schedule_steps=total, first_step=k) for k in range(total)]
            return min(choices, key=distance)
        # The longer the schedule, the less noise its last `run` steps begin with.
        low, high = run, max(run, min(3 * plain.schedule_steps, MOST_STEPS))
        while high - low > 2:
            third = (high - low) // 3
            left, right = low + third, high - third
            near, far = (
                distance(StepRange(schedule_steps=n, first_step=n - run)) for n in (left, right)
            )
            low, high = (low, right) if near <= far else (left, high)
        around = [StepRange(schedule_steps=n, first_step=n - run) for n in range(low, high + 1)]
        return min(around, key=distance)
    except (ValueError, IndexError):  # too dense for the model's timesteps: the engine says so
        return plain


def _levels_of(
    settings: SamplerSettings, steps: int, config: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Timestep and sigma of each call. Raises ValueError for more steps than a scheduler has."""
    row = sampler_of(settings)
    _, options = added(settings).get("set_timesteps", (None, {}))
    changes = json.dumps(dict(row.config), sort_keys=True)
    return _levels(row.name, changes, tuple(options.items()), steps, config)


@functools.lru_cache(maxsize=512)
def _levels(
    name: str, changes: str, options: tuple[tuple[str, float], ...], steps: int, config: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    row = replace(SCHEDULERS[name], config=json.loads(changes))
    scheduler = row.build(json.loads(config))
    if options:
        LAYOUTS[name](scheduler, steps, **dict(options))
    else:
        scheduler.set_timesteps(steps)
    timesteps = tuple(float(timestep) for timestep in scheduler.timesteps)
    return timesteps, tuple(call_sigmas(row, scheduler))


def ancestral_timesteps(scheduler: Any, steps: int, device: Any = None, *, eta: float) -> None:
    """Lay out KDPM2AncestralDiscreteScheduler with noise `eta` times as strong: 0 is DPM2, 1 its
    own. The midpoint of a step lies between its level and the one that it goes down to.

    Source: k-diffusion's get_ancestral_step and sample_dpm_2_ancestral.
    """
    type(scheduler).set_timesteps(scheduler, steps, device)
    # One entry a call, and two of the end, to which nothing goes down.
    sigma, target = scheduler.sigmas[:-3], scheduler.sigmas[2:-1]
    up = eta * scheduler.sigmas_up[:-3].to(sigma.device)
    down = (target**2 - up**2) ** 0.5
    middle = (sigma * down) ** 0.5  # halfway in log sigma; 0 before the end
    scheduler.sigmas_up[:-3], scheduler.sigmas_down[:-3] = up, down
    scheduler.sigmas_interpol[:-3] = middle
    midpoints = scheduler._sigma_to_t(middle[:-1:2].numpy(), scheduler.log_sigmas.cpu().numpy())
    scheduler.timesteps[1::2] = scheduler.timesteps.new_tensor(midpoints)


def churned_timesteps(scheduler: Any, steps: int, device: Any = None, *, s_churn: float) -> None:
    """Lay out HeunDiscreteScheduler with the level at which each step begins raised by 1 + gamma;
    `churned_step` adds the noise between. That of the first step is in the noise that the run
    starts from, which is drawn at the raised level.

    Source: Karras et al. 2022, algorithm 2; k-diffusion's sample_heun.
    """
    type(scheduler).set_timesteps(scheduler, steps, device)
    gamma = min(s_churn / steps, 2**0.5 - 1)
    scheduler.sigmas[::2] *= 1 + gamma  # every second call is the look ahead, at a level as it was
    abar = scheduler.alphas_cumprod
    known = ((1 - abar) / abar).sqrt().log().numpy()
    raised = scheduler._sigma_to_t(scheduler.sigmas[::2].numpy(), known)
    scheduler.timesteps[::2] = scheduler.timesteps.new_tensor(raised)
    scheduler.set_begin_index(0)  # above the model's last level several calls have one timestep


LAYOUTS: Mapping[str, Callable[..., None]] = {
    "DPM2 a": ancestral_timesteps,
    "Heun": churned_timesteps,
}
"""Scheduler -> what ADDED has in the place of its `set_timesteps`."""
