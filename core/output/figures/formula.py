"""A scheduler's step with its numbers: DDIM, Euler and DPM++ 2M written out, computed apart.

What stands here is computed from the papers' formulas in float64, not by the scheduler: that both
agree is what a reader can check, and a test does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.diffusion.inside.anatomy import Run
from core.diffusion.recipe.guidance.methods import CFG_PP
from core.diffusion.recipe.schedule import step_range
from core.diffusion.recipe.schedulers import SCHEDULERS

DPM_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint"}


@dataclass(frozen=True, kw_only=True, eq=False)
class StepFormula:
    """One step. `general` is the formula in LaTeX, line by line, `filled` the same with this step's
    numbers and the latents' entry at `place`; `result` the step's outcome by it, (C, h, w) float64.
    For a scheduler that is not written out here they are (), () and None.
    """

    source: str
    general: tuple[str, ...]
    numbers: tuple[tuple[str, float], ...]
    filled: tuple[str, ...]
    place: tuple[int, int, int]
    result: np.ndarray | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """What a formula is given: the noise levels around the step, and the arrays, in float64.
    `eps_uncond` is the noise that CFG++ puts back.
    """

    s: float
    t: float
    x: np.ndarray
    x0: np.ndarray
    before: float | None
    x0_before: np.ndarray | None
    place: tuple[int, int, int]
    eps_uncond: np.ndarray | None = None

    def at(self, array: np.ndarray) -> str:
        return _number(float(array[self.place]))


def step_formula(run: Run, call: int) -> StepFormula:
    """The scheduler's step after UNet call `call` (counted from 0) of a run."""
    shape = run.latents.shape[1:]
    place = (0, shape[1] // 2, shape[2] // 2)
    write = _WRITTEN.get(run.settings.scheduler)
    if write is None or not _is_plain(run):
        return StepFormula(
            source="", general=(), numbers=_levels(run, call), filled=(), place=place, result=None
        )
    has_before = call > 0
    return write(
        _Step(
            s=run.sigmas[call],
            t=reached_sigma(run, call),
            x=run.latents[call].astype(np.float64),
            x0=run.x0[call].astype(np.float64),
            before=run.sigmas[call - 1] if has_before else None,
            x0_before=run.x0[call - 1].astype(np.float64) if has_before else None,
            place=place,
            eps_uncond=_put_back(run, call),
        ),
        call == run.calls - 1,
    )


def _put_back(run: Run, call: int) -> np.ndarray | None:
    """The unconditional noise where CFG++ acts, (C, h, w): x_VP = alpha x0 + alpha sigma eps."""
    if run.settings.guidance_method != CFG_PP or run.pred_uncond is None or not run.guided[call]:
        return None
    said, alpha = run.pred_uncond[call].astype(np.float64), _alpha(run.sigmas[call])
    x = run.x_vp[call].astype(np.float64)
    if run.prediction_type == "v_prediction":
        return alpha * said + alpha * run.sigmas[call] * x
    if run.prediction_type == "sample":
        return (x - alpha * said) / (alpha * run.sigmas[call])
    return said


def reached_sigma(run: Run, call: int) -> float:
    """The noise level that the step after UNet call `call` leads to, by the scheduler itself.

    DDIM and PNDM go a fixed number of timesteps down, which trailing and linspace spacing do not
    have among their timesteps (diffusers' DDIMScheduler.step: timestep - 1000 // n); the others
    go to their next level.
    """
    row, config = SCHEDULERS[run.settings.scheduler], run.scheduler_config
    if row.name not in ("DDIM", "PNDM"):
        return run.sigmas[call + 1]
    scheduler = row.build(config)
    stride = int(config["num_train_timesteps"]) // step_range(run.settings, config).schedule_steps
    is_again = row.repeats_first_transition and call == 1
    reached = int(run.timesteps[call]) - (0 if is_again else stride)
    ends = reached < 0
    abar = float(scheduler.final_alpha_cumprod if ends else scheduler.alphas_cumprod[reached])
    return math.sqrt((1 - abar) / abar)


def _is_plain(run: Run) -> bool:
    """Return whether the scheduler's configuration is the one that is written out."""
    config = run.scheduler_config
    if config.get("thresholding") or config.get("clip_sample"):
        return False
    others = ("eta", "s_churn", "lower_order_final")
    if any(run.settings.matters(name) for name in others):
        return False
    if config.get("final_sigmas_type") == "sigma_min":
        return False
    if "DPM++ 2M" not in run.settings.scheduler:
        return True
    return all(config.get(name) == value for name, value in DPM_2M.items())


def _levels(run: Run, call: int) -> tuple[tuple[str, float], ...]:
    return ((r"\sigma", run.sigmas[call]), (r"\sigma'", reached_sigma(run, call)))


def _ddim(step: _Step, is_last: bool) -> StepFormula:
    alpha, alpha_next = _alpha(step.s), _alpha(step.t)
    eps = (step.x - alpha * step.x0) / (alpha * step.s)
    signal, noise = alpha_next, alpha_next * step.t
    source, name = "Song et al. 2021, eq. 12 with η = 0", r"\epsilon"
    if step.eps_uncond is not None:
        eps, source, name = step.eps_uncond, "Chung et al. 2024, algorithm 2", r"\epsilon_u"
    result = signal * step.x0 + noise * eps
    return StepFormula(
        source=source,
        general=(rf"x' = \sqrt{{\bar\alpha'}}\,\hat x_0 + \sqrt{{1-\bar\alpha'}}\,{name}",),
        numbers=(
            (r"\bar\alpha", alpha**2),
            (r"\bar\alpha'", alpha_next**2),
            (r"\sqrt{\bar\alpha'}", signal),
            (r"\sqrt{1-\bar\alpha'}", noise),
        ),
        filled=(
            _worked_out(
                "x'",
                rf"{_number(signal)} \cdot {step.at(step.x0)} + {_number(noise)} \cdot"
                rf" {step.at(eps)}",
                step.at(result),
            ),
        ),
        place=step.place,
        result=result,
    )


def _euler(step: _Step, is_last: bool) -> StepFormula:
    if step.eps_uncond is not None:
        result = step.x0 + step.t * step.eps_uncond
        return StepFormula(
            source="Chung et al. 2024, algorithm 2, at σ",
            general=(r"x' = \hat x_0 + \sigma'\,\epsilon_u",),
            numbers=((r"\sigma", step.s), (r"\sigma'", step.t)),
            filled=(
                _worked_out(
                    "x'",
                    rf"{step.at(step.x0)} + {_number(step.t)} \cdot {step.at(step.eps_uncond)}",
                    step.at(result),
                ),
            ),
            place=step.place,
            result=result,
        )
    slope = (step.x - step.x0) / step.s
    change = step.t - step.s
    result = step.x + change * slope
    return StepFormula(
        source="Karras et al. 2022, algorithm 1 without churn",
        general=(r"d = \frac{x - \hat x_0}{\sigma}", r"x' = x + (\sigma' - \sigma)\,d"),
        numbers=((r"\sigma", step.s), (r"\sigma'", step.t), (r"\sigma'-\sigma", change)),
        filled=(
            _worked_out(
                "d",
                rf"\frac{{{step.at(step.x)} - {step.at(step.x0)}}}{{{_number(step.s)}}}",
                step.at(slope),
            ),
            _worked_out(
                "x'",
                rf"{step.at(step.x)} + {_number(change)} \cdot {step.at(slope)}",
                step.at(result),
            ),
        ),
        place=step.place,
        result=result,
    )


def _dpm_2m(step: _Step, is_last: bool) -> StepFormula:
    """First order at the first step, which has no memory, and at the last, which ends at 0."""
    alpha_next = _alpha(step.t)
    ratio = alpha_next * step.t / (_alpha(step.s) * step.s)
    h = math.inf if step.t == 0 else math.log(step.s / step.t)  # log-SNR/2 gained by the step
    weight = -alpha_next * math.expm1(-h)
    numbers = [(r"\sigma'_{VP}/\sigma_{VP}", ratio), (r"\alpha'(1-e^{-h})", weight)]
    if not math.isinf(h):
        numbers.insert(0, ("h", h))
    towards, name = step.x0, r"\hat x_0"
    source = "Lu et al. 2022 (DPM-Solver++), algorithm 2"
    ahead: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    if step.before is None or step.x0_before is None or is_last:
        when = "the last step" if is_last else "the first step, which has no memory"
        source += f", first order at {when}"
    else:
        r = math.log(step.before / step.s) / h
        towards, name = step.x0 + (step.x0 - step.x0_before) / (2 * r), "D"
        numbers.insert(1, ("r", r))
        ahead = (r"D = \hat x_0 + \frac{1}{2r}\left(\hat x_0 - \hat x_0^{\,before}\right)",)
        lead = (
            _worked_out(
                "D",
                rf"{step.at(step.x0)} + \frac{{{step.at(step.x0)} - {step.at(step.x0_before)}}}"
                rf"{{2 \cdot {_number(r)}}}",
                step.at(towards),
            ),
        )
    whole = rf"x' = \frac{{\sigma'_{{VP}}}}{{\sigma_{{VP}}}}\,x + \alpha'(1-e^{{-h}})\,{name}"
    result = ratio * step.x + weight * towards
    return StepFormula(
        source=source,
        general=(*ahead, whole),
        numbers=tuple(numbers),
        filled=(
            *lead,
            _worked_out(
                "x'",
                rf"{_number(ratio)} \cdot {step.at(step.x)} + {_number(weight)} \cdot"
                rf" {step.at(towards)}",
                step.at(result),
            ),
        ),
        place=step.place,
        result=result,
    )


def _worked_out(name: str, expression: str, value: str) -> str:
    """Two lines, since one would not fit on a phone."""
    return rf"\begin{{aligned}} {name} &= {expression} \\ &= {value} \end{{aligned}}"


def _alpha(sigma: float) -> float:
    """sqrt(abar) at a noise level."""
    return 1 / math.sqrt(1 + sigma**2)


def _number(value: float) -> str:
    """Four figures; a negative number in brackets, so that it can follow any sign."""
    text = f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
    if "e" in text:
        digits, power = text.split("e")
        text = rf"{digits}\cdot 10^{{{int(power)}}}"
    return f"({text})" if value < 0 else text


_WRITTEN: Mapping[str, Callable[[_Step, bool], StepFormula]] = {
    "DDIM": _ddim,
    "Euler": _euler,
    "DPM++ 2M": _dpm_2m,
    "DPM++ 2M Karras": _dpm_2m,
}
WRITTEN_OUT = tuple(name for name in SCHEDULERS if name in _WRITTEN)
"""The schedulers whose formula stands here."""
