"""SCHEDULERS: one row a scheduler. Reading the table imports neither torch nor diffusers."""

from __future__ import annotations

import copy
import inspect
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from core.diffusion.recipe.libraries import library

KEPT = 64
"""Schedulers that are kept to be copied: DPM2's constructor takes a third of a second."""

_BUILT: dict[str, Any] = {}
_BUILDING = threading.Lock()


class SchedulerError(ValueError):
    """A model's scheduler configuration of which a scheduler cannot be built, in a sentence."""

    def __init__(self, name: str, error: Exception) -> None:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        super().__init__(
            f"{name} cannot be built from this model's scheduler_config.json ({first}): choose "
            "another scheduler"
        )


@dataclass(frozen=True, kw_only=True)
class SchedulerRow:
    """A diffusers scheduler class with its configuration, and what a reader should know of it.

    `a1111_sampler` and `a1111_schedule` are the names that AUTOMATIC1111 writes for it
    ("Sampler" and "Schedule type"). `sigma_space` says that its latents are x0 + sigma * eps
    (k-diffusion's), not variance preserving. `calls_per_step` counts UNet calls of a middle step;
    `repeats_first_transition` is PNDM's habit: see `calls`.
    `sigma_at` says where the noise level of call i stands: in the scheduler's `sigmas[i]`, in
    `alphas_cumprod` at the timestep, or for every second call in `sigmas_interpol` (at i for
    DPM2; one place before it, "sigmas_interpol_before", for DPM2 a).
    `takes` names the settings of a sampler that its class has beside `solver_order`, `solver_type`
    and `eta`, whose values are in `orders` and `solver_types`, and whose own value is `eta`.
    """

    name: str
    class_name: str
    a1111_sampler: str
    a1111_schedule: str = "Automatic"
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stochastic: bool = False
    sigma_space: bool = False
    calls_per_step: int = 1
    repeats_first_transition: bool = False
    sigma_at: Literal["sigmas", "alphas_cumprod", "sigmas_interpol", "sigmas_interpol_before"] = (
        "sigmas"
    )
    distilled_only: bool = False
    takes: tuple[str, ...] = ()
    orders: tuple[int, ...] = ()
    solver_types: tuple[str, ...] = ()
    eta: float | None = None
    note: str = ""

    def calls(self, num_inference_steps: int) -> int:
        """UNet calls of a whole run: n; 2n - 1 for Heun and DPM2, whose last step needs no
        second call; n + 1 for PNDM, which runs its first transition twice if there is one.
        """
        calls = num_inference_steps * self.calls_per_step
        if self.calls_per_step > 1:
            return calls - 1
        return calls + (self.repeats_first_transition and num_inference_steps > 1)

    def step_of(self, call: int) -> int:
        """The step, counted from 1, to which a call of a run, counted from 0, belongs."""
        if self.repeats_first_transition:
            return max(call, 1)
        return call // self.calls_per_step + 1

    def build(self, config: Mapping[str, Any]) -> Any:
        """A fresh scheduler for a model whose `scheduler_config.json` is `config`.

        As `StableDiffusionPipeline.scheduler = Class.from_config(pipe.scheduler.config, ...)`.
        Raises SchedulerError for a configuration that the class does not take.
        """
        given = json.dumps([self.class_name, dict(self.config), dict(config)], default=repr)
        with _BUILDING:
            if given not in _BUILT:
                while len(_BUILT) >= KEPT:
                    del _BUILT[next(iter(_BUILT))]
                _BUILT[given] = self._build(config)
            return copy.deepcopy(_BUILT[given])

    def _build(self, config: Mapping[str, Any]) -> Any:
        cls = getattr(library("diffusers"), self.class_name)
        known = inspect.signature(cls.__init__).parameters
        # from_config warns of every key that the other class has and this one does not.
        kept = {key: value for key, value in config.items() if key in known}
        try:
            return cls.from_config(kept, **self.config)
        # diffusers' constructors: a beta schedule that they do not have is NotImplementedError, one
        # that needs scipy ImportError, betas of which no root can be taken RuntimeError.
        except (ValueError, TypeError, ArithmeticError, RuntimeError, ImportError) as error:
            raise SchedulerError(self.name, error) from error

    def takes_generator(self, scheduler: Any) -> bool:
        """Return whether `scheduler.step` draws from a generator (diffusers' own pipeline asks
        so).
        """
        return "generator" in inspect.signature(scheduler.step).parameters


def _table(*rows: SchedulerRow) -> dict[str, SchedulerRow]:
    return {row.name: row for row in rows}


_LEVELS = ("sigma_schedule", "timestep_spacing")
_ENDS = ("final_sigmas_type", "rescale_betas_zero_snr")
_DPM_TYPES = ("midpoint", "heun")

SCHEDULERS: Mapping[str, SchedulerRow] = _table(
    SchedulerRow(
        name="DDIM",
        class_name="DDIMScheduler",
        a1111_sampler="DDIM",
        sigma_at="alphas_cumprod",
        takes=("timestep_spacing", "rescale_betas_zero_snr"),
        eta=0.0,
        note="Deterministic and the plainest to read: one formula, one call a step.",
    ),
    SchedulerRow(
        name="PNDM",
        class_name="PNDMScheduler",
        a1111_sampler="PLMS",
        config={"skip_prk_steps": True},
        repeats_first_transition=True,
        sigma_at="alphas_cumprod",
        takes=("timestep_spacing",),
        note="Linear multistep; runs its first transition twice, so n steps are n + 1 calls.",
    ),
    SchedulerRow(
        name="LMS",
        class_name="LMSDiscreteScheduler",
        a1111_sampler="LMS",
        sigma_space=True,
        takes=_LEVELS,
        note="Linear multistep of order four.",
    ),
    SchedulerRow(
        name="Euler",
        class_name="EulerDiscreteScheduler",
        a1111_sampler="Euler",
        sigma_space=True,
        takes=(*_LEVELS, *_ENDS, "s_churn"),
        note="One straight line a step along the probability-flow ODE.",
    ),
    SchedulerRow(
        name="Euler a",
        class_name="EulerAncestralDiscreteScheduler",
        a1111_sampler="Euler a",
        stochastic=True,
        sigma_space=True,
        takes=("timestep_spacing", "rescale_betas_zero_snr"),
        eta=1.0,
        note="Euler with fresh noise each step: it never settles as steps grow.",
    ),
    SchedulerRow(
        name="Heun",
        class_name="HeunDiscreteScheduler",
        a1111_sampler="Heun",
        sigma_space=True,
        calls_per_step=2,
        takes=(*_LEVELS, "s_churn"),
        note="Second order: looks ahead, so n steps are 2n - 1 calls.",
    ),
    SchedulerRow(
        name="DPM++ 2M",
        class_name="DPMSolverMultistepScheduler",
        a1111_sampler="DPM++ 2M",
        config={"algorithm_type": "dpmsolver++", "solver_order": 2},
        takes=(*_LEVELS, *_ENDS, "lower_order_final"),
        orders=(1, 2, 3),
        solver_types=_DPM_TYPES,
        note="Second order from the last two predictions: after 20 steps little changes.",
    ),
    SchedulerRow(
        name="DPM++ 2M Karras",
        class_name="DPMSolverMultistepScheduler",
        a1111_sampler="DPM++ 2M",
        a1111_schedule="Karras",
        config={
            "algorithm_type": "dpmsolver++",
            "solver_order": 2,
            "use_karras_sigmas": True,
        },
        takes=(*_LEVELS, *_ENDS, "lower_order_final"),
        orders=(1, 2, 3),
        solver_types=_DPM_TYPES,
        note="The same with Karras' spacing: more of its steps at low noise.",
    ),
    SchedulerRow(
        name="DPM++ 2M SDE",
        class_name="DPMSolverMultistepScheduler",
        a1111_sampler="DPM++ 2M SDE",
        config={"algorithm_type": "sde-dpmsolver++", "solver_order": 2},
        stochastic=True,
        takes=(*_LEVELS, *_ENDS, "lower_order_final"),
        orders=(1, 2, 3),
        solver_types=_DPM_TYPES,
        note="DPM++ 2M of the stochastic equation: fresh noise each step.",
    ),
    SchedulerRow(
        name="DPM++ SDE",
        class_name="DPMSolverSinglestepScheduler",
        a1111_sampler="DPM++ SDE",
        config={
            "algorithm_type": "sde-dpmsolver++",
            "solver_order": 2,
            "lower_order_final": True,
        },
        stochastic=True,
        takes=("sigma_schedule", "final_sigmas_type", "lower_order_final"),
        orders=(1, 2, 3),
        solver_types=_DPM_TYPES,
        note="The single-step form of the stochastic solver.",
    ),
    SchedulerRow(
        name="DPM2",
        class_name="KDPM2DiscreteScheduler",
        a1111_sampler="DPM2",
        sigma_space=True,
        calls_per_step=2,
        sigma_at="sigmas_interpol",
        takes=_LEVELS,
        note="DPM-Solver-2 in k-diffusion's form: a midpoint call, so n steps are 2n - 1 calls.",
    ),
    SchedulerRow(
        name="DPM2 a",
        class_name="KDPM2AncestralDiscreteScheduler",
        a1111_sampler="DPM2 a",
        stochastic=True,
        sigma_space=True,
        calls_per_step=2,
        sigma_at="sigmas_interpol_before",
        takes=_LEVELS,
        eta=1.0,
        note="DPM2 with fresh noise each step.",
    ),
    SchedulerRow(
        name="UniPC",
        class_name="UniPCMultistepScheduler",
        a1111_sampler="UniPC",
        takes=(*_LEVELS, *_ENDS),
        orders=(1, 2, 3),
        solver_types=("bh1", "bh2"),
        note="Predictor and corrector in one call.",
    ),
    SchedulerRow(
        name="DEIS",
        class_name="DEISMultistepScheduler",
        a1111_sampler="DEIS",
        takes=(*_LEVELS, "lower_order_final"),
        orders=(1, 2, 3),
        note="Exponential integrator, multistep.",
    ),
    SchedulerRow(
        name="LCM",
        class_name="LCMScheduler",
        a1111_sampler="LCM",
        stochastic=True,
        sigma_at="alphas_cumprod",
        distilled_only=True,
        note="For latent-consistency models, in 1 to 8 steps.",
    ),
)


def nearest_scheduler(name: str) -> str:
    """The scheduler whose name looks most like `name`."""
    by_lower = {known.lower(): known for known in SCHEDULERS}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[near[0]] if near else next(iter(SCHEDULERS))
