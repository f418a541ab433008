"""The sampler that settings ask for: a scheduler with its noise levels, spacing, order and ends.

All of it is configuration of diffusers' own classes, but for what `step_options` and ADDED name.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerRow

AUTOMATIC = "automatic"
"""As the scheduler and the model have it."""

_FLAGS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
SIGMA_SCHEDULES: Mapping[str, Mapping[str, bool]] = {
    AUTOMATIC: {},
    "karras": {flag: flag == _FLAGS[0] for flag in _FLAGS},
    "exponential": {flag: flag == _FLAGS[1] for flag in _FLAGS},
    "beta": {flag: flag == _FLAGS[2] for flag in _FLAGS},
    "uniform": dict.fromkeys(_FLAGS, False),
}
"""How noise levels are laid -> diffusers' flags. Karras et al. 2022, eq. 5; exponential as in
k-diffusion; beta: Lee et al. 2024 (arXiv:2407.12173); uniform: over the timesteps."""

SPACINGS = ("leading", "linspace", "trailing")
"""diffusers' `timestep_spacing` (Lin et al. 2023, table 2)."""

FINAL_SIGMAS = ("zero", "sigma_min")
OWN_ETA = -1.0
"""Eta as the scheduler has it: DDIM 0, Euler a and DPM2 a 1."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """A function of ours in the place of a method of a diffusers scheduler, which has no parameter
    for `setting`; it is given the setting where `is_told`.
    """

    setting: str
    method: str
    function: str
    is_told: bool = True


ADDED: Mapping[str, tuple[Added, ...]] = {
    "Euler a": (Added(setting="eta", method="step", function="ancestral_step"),),
    "DPM2 a": (Added(setting="eta", method="set_timesteps", function="ancestral_timesteps"),),
    "Heun": (
        Added(setting="s_churn", method="set_timesteps", function="churned_timesteps"),
        Added(setting="s_churn", method="step", function="churned_step", is_told=False),
    ),
}
"""By the scheduler's name. Timesteps are laid out in `core.diffusion.recipe.schedule`, steps taken
in `core.diffusion.sampling.sampler`.
"""


class SamplerSettings(Protocol):
    """The settings that make a sampler; `GenerationSettings` are such."""

    @property
    def scheduler(self) -> str: ...
    @property
    def sigma_schedule(self) -> str: ...
    @property
    def timestep_spacing(self) -> str: ...
    @property
    def solver_order(self) -> int: ...
    @property
    def solver_type(self) -> str: ...
    @property
    def final_sigmas_type(self) -> str: ...
    @property
    def lower_order_final(self) -> bool: ...
    @property
    def rescale_betas_zero_snr(self) -> bool: ...
    @property
    def eta(self) -> float: ...
    @property
    def s_churn(self) -> float: ...


def sampler_of(settings: SamplerSettings) -> SchedulerRow:
    """The scheduler's row with the configuration that the settings ask for."""
    row = SCHEDULERS[settings.scheduler]
    changes = _configuration(settings)
    return replace(row, config={**row.config, **changes}) if changes else row


def step_options(settings: SamplerSettings) -> dict[str, float]:
    """What diffusers' own `step` of the scheduler is called with besides."""
    if settings.scheduler in ADDED:
        return {}
    options: dict[str, float] = {}
    if not is_own_eta(settings):
        options["eta"] = settings.eta
    if settings.s_churn:
        options["s_churn"] = settings.s_churn
    return options


def added(settings: SamplerSettings) -> dict[str, tuple[Added, dict[str, float]]]:
    """Method of diffusers' scheduler -> what stands in its place for these settings, and the
    options that it is told.
    """
    is_own = {"eta": is_own_eta(settings), "s_churn": settings.s_churn == 0}
    return {
        one.method: (one, {one.setting: getattr(settings, one.setting)} if one.is_told else {})
        for one in ADDED.get(settings.scheduler, ())
        if not is_own[one.setting]
    }


def is_own_eta(settings: SamplerSettings) -> bool:
    """Return whether eta is as the scheduler has it."""
    row = SCHEDULERS.get(settings.scheduler)
    return settings.eta == OWN_ETA or (row is not None and settings.eta == row.eta)


def is_own_order(settings: SamplerSettings) -> bool:
    """Return whether the order is as the scheduler has it, where its row says which that is."""
    row = SCHEDULERS.get(settings.scheduler)
    own = row.config.get("solver_order") if row is not None else None
    return settings.solver_order in (0, own)


def plain_sampler(settings: SamplerSettings) -> tuple[str, str]:
    """Scheduler and sigma schedule under one name: "DPM++ 2M" with Karras' levels is "DPM++ 2M
    Karras", automatic.
    """
    name, schedule = settings.scheduler, settings.sigma_schedule
    if schedule == AUTOMATIC:
        return name, schedule
    base = name.removesuffix(" Karras")
    if schedule == "karras" and f"{base} Karras" in SCHEDULERS:
        return f"{base} Karras", AUTOMATIC
    return base, schedule


def _configuration(settings: SamplerSettings) -> dict[str, Any]:
    found: dict[str, Any] = dict(SIGMA_SCHEDULES.get(settings.sigma_schedule, {}))
    for name in ("timestep_spacing", "solver_type", "final_sigmas_type"):
        if (value := getattr(settings, name)) != AUTOMATIC:
            found[name] = value
    if settings.solver_order:
        found["solver_order"] = settings.solver_order
    if not settings.lower_order_final:
        found["lower_order_final"] = False
    if settings.rescale_betas_zero_snr:
        found["rescale_betas_zero_snr"] = True
    return found


def takes(row: SchedulerRow, name: str, value: Any) -> bool:
    """Return whether a scheduler takes a value of a setting, whatever the other settings are."""
    if value == _UNTOUCHED.get(name, AUTOMATIC):
        return True
    if name == "solver_order":
        return value in row.orders
    if name == "solver_type":
        return value in row.solver_types
    return row.eta is not None if name == "eta" else name in row.takes


def unfit(settings: SamplerSettings, name: str) -> str:
    """Why the settings' value of `name` does not go with their scheduler and the rest; "" where it
    does.
    """
    row = SCHEDULERS.get(settings.scheduler)
    value = getattr(settings, name)
    if row is None or value == _UNTOUCHED.get(name, AUTOMATIC):
        return ""
    if takes(row, name, value):
        return _BESIDE[name](settings) if name in _BESIDE else ""
    known = {"solver_order": row.orders, "solver_type": row.solver_types}.get(name)
    if known:
        return f"{value} is none of {row.name}'s: {', '.join(map(str, known))}"
    others = [one.name for one in SCHEDULERS.values() if takes(one, name, value)]
    return f"is not available with {row.name}, but with {_listed(others)}"


def _listed(names: list[str], most: int = 3) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _bh1_to_zero(settings: SamplerSettings) -> str:
    if settings.solver_type != "bh1":
        return ""
    if settings.rescale_betas_zero_snr:
        return "bh1 divides by zero at zero terminal SNR: choose bh2"
    if settings.final_sigmas_type == "sigma_min":
        return ""
    return "bh1 divides by zero where the last sigma is 0: set the final sigma to sigma_min"


def _no_end(settings: SamplerSettings) -> str:
    if settings.final_sigmas_type != "sigma_min":
        return ""
    return "the last two sigmas are one here, and only the first order stands that: leave it on"


def _other_levels(settings: SamplerSettings) -> str:
    if settings.sigma_schedule in (AUTOMATIC, "uniform"):
        return ""
    return f"begins at the end of the model's own timesteps: {settings.sigma_schedule} has others"


_UNTOUCHED: Mapping[str, Any] = {
    "solver_order": 0,
    "lower_order_final": True,
    "rescale_betas_zero_snr": False,
    "eta": OWN_ETA,
    "s_churn": 0.0,
}
"""The value of a setting that leaves the scheduler as it is, where it is not AUTOMATIC."""
_BESIDE = {
    "solver_type": _bh1_to_zero,
    "lower_order_final": _no_end,
    "rescale_betas_zero_snr": _other_levels,
}
