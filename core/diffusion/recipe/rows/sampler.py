"""Rows of SETTINGS: what a sampler is made of, beside its scheduler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.diffusion.recipe.sampler import (
    AUTOMATIC,
    FINAL_SIGMAS,
    OWN_ETA,
    SIGMA_SCHEDULES,
    SPACINGS,
    is_own_eta,
    is_own_order,
    unfit,
)
from core.diffusion.recipe.setting import AxisError, Setting, Settings, Swept, WebUiText

_TITLES = {
    **{name: name.capitalize() for name in SIGMA_SCHEDULES},
    "zero": "0",
    "sigma_min": "the model's smallest",
}
SWITCH = {"off": False, "on": True}
SINCE = "0.2.0"


def _title(value: str) -> str:
    return _TITLES.get(value, value)


def _chosen(
    name: str, label: str, help: str, choices: tuple[str, ...], examples: str = ""
) -> Setting:
    """A choice that the scheduler's class may have; "automatic" leaves it as it is."""
    return Setting(
        name=name,
        default=AUTOMATIC,
        label=label,
        help=help,
        group="sampler",
        choices=(AUTOMATIC, *choices),
        matters=lambda settings: getattr(settings, name) != AUTOMATIC,
        unfit=lambda settings: unfit(settings, name),
        is_relative=True,
        show=_title,
        link_choices=tuple(map(_title, (AUTOMATIC, *choices))),
        web_ui=WebUiText(keys=(label,), read=_one_of(choices)),
        swept=(Swept(examples=examples or ", ".join(choices)),),
        since=SINCE,
    )


def _one_of(choices: tuple[str, ...]) -> Any:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return read


def truth(text: str) -> bool:
    """Read what `str` writes of a switch. Raises ValueError."""
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


def switched(name: str) -> Swept:
    """A switch as an axis of two values."""

    def apply(settings: Settings, value: str, first: str) -> Settings:
        if value.strip().lower() not in SWITCH:
            raise AxisError(f"{value!r} is neither off nor on")
        return replace(settings, **{name: SWITCH[value.strip().lower()]})

    return Swept(kind=str, examples="off, on", apply=apply, note="Off or on.")


SAMPLER_ROWS = (
    _chosen(
        "sigma_schedule",
        "Sigma schedule",
        "How the noise levels lie between the largest and the smallest: as the scheduler has "
        "them, or Karras', exponential, by the beta distribution, or uniform over the timesteps.",
        tuple(SIGMA_SCHEDULES)[1:],
    ),
    _chosen(
        "timestep_spacing",
        "Timestep spacing",
        "Which of the model's timesteps the steps fall on (Lin et al. 2023, table 2): trailing "
        "begins at the last one, leading before it, linspace has both ends.",
        SPACINGS,
    ),
    Setting(
        name="solver_order",
        default=0,
        label="Solver order",
        help="How many predictions a step of DPM++, UniPC or DEIS combines; 0 is the scheduler's "
        "own, 2.",
        group="sampler",
        bounds=(0, 3),
        step=1,
        matters=lambda settings: not is_own_order(settings),
        unfit=lambda settings: unfit(settings, "solver_order"),
        is_relative=True,
        tell=lambda order: str(order) if order else "the scheduler's own",
        web_ui=WebUiText(keys=("Solver order",), read=int),
        swept=(Swept(examples="1, 2, 3"),),
        since=SINCE,
    ),
    _chosen(
        "solver_type",
        "Solver type",
        "How a step of second order is taken: midpoint or heun (DPM++), bh1 or bh2 (UniPC).",
        ("midpoint", "heun", "bh1", "bh2"),
        "midpoint, heun",
    ),
    _chosen(
        "final_sigmas_type",
        "Final sigma",
        "The noise level that the last step ends at: 0, or sigma_min, the model's smallest, which "
        "leaves a little noise.",
        FINAL_SIGMAS,
    ),
    Setting(
        name="lower_order_final",
        default=True,
        label="Lower order at the end",
        help="The last steps of a short run are of lower order, as in diffusers' own default.",
        group="sampler",
        matters=lambda settings: not settings.lower_order_final,
        unfit=lambda settings: unfit(settings, "lower_order_final"),
        is_relative=True,
        tell=lambda is_on: "" if is_on else "no",
        web_ui=WebUiText(keys=("Lower order final",), write=str, read=truth),
        swept=(switched("lower_order_final"),),
        since=SINCE,
    ),
    Setting(
        name="rescale_betas_zero_snr",
        default=False,
        label="Zero terminal SNR",
        help="The last timestep is noise alone (Lin et al. 2023, sec. 3.1). Made for models that "
        "were trained so, and predict v.",
        group="sampler",
        matters=lambda settings: settings.rescale_betas_zero_snr,
        unfit=lambda settings: unfit(settings, "rescale_betas_zero_snr"),
        is_relative=True,
        web_ui=WebUiText(keys=("Zero terminal SNR",), write=str, read=truth),
        swept=(switched("rescale_betas_zero_snr"),),
        since=SINCE,
    ),
    Setting(
        name="eta",
        default=OWN_ETA,
        label="Eta",
        help="Fresh noise in each step: 0 is none (an ODE), 1 is all of it (an SDE). -1 is the "
        "scheduler's own: 0 for DDIM, 1 for Euler a and DPM2 a.",
        group="sampler",
        bounds=(OWN_ETA, 1),
        step=0.1,
        check=lambda eta: "" if eta == OWN_ETA or eta >= 0 else f"{eta:g} is neither -1 nor 0 to 1",
        matters=lambda settings: not is_own_eta(settings),
        unfit=lambda settings: unfit(settings, "eta"),
        is_relative=True,
        tell=lambda eta: "the scheduler's own" if eta == OWN_ETA else f"{eta:g}",
        web_ui=WebUiText(keys=("Eta",), read=float),
        swept=(Swept(examples="0, 0.5, 1"),),
        since=SINCE,
    ),
    Setting(
        name="s_churn",
        default=0.0,
        label="Sigma churn",
        help="Euler and Heun add noise before each step and remove it again (Karras et al. 2022, "
        "algorithm 2). Divided by the number of steps, at most 0.41 a step.",
        group="sampler",
        bounds=(0, 1000),
        step=1.0,
        matters=lambda settings: settings.s_churn != 0,
        unfit=lambda settings: unfit(settings, "s_churn"),
        is_relative=True,
        web_ui=WebUiText(keys=("Sigma churn",), read=float),
        swept=(Swept(examples="0, 5, 10, 20"),),
        since=SINCE,
    ),
    Setting(
        name="noise_multiplier",
        default=1.0,
        label="Noise multiplier",
        help="Multiplies the noise that the run starts from. 1 is what the model was trained on.",
        group="noise",
        bounds=(0, 2),
        step=0.05,
        matters=lambda settings: settings.noise_multiplier != 1,
        web_ui=WebUiText(keys=("Noise multiplier",), read=float),
        swept=(Swept(examples="0.9-1.1 [5]"),),
        since=SINCE,
    ),
)
