"""The numbers of a way to guide, at one UNet call of a run taken apart."""

from __future__ import annotations

import math

import numpy as np

from core.diffusion.inside.anatomy import Run
from core.diffusion.recipe.guidance.methods import APG, PAG, ZERO_STAR, acting_method


def guidance_numbers(run: Run, call: int) -> list[tuple[str, float]]:
    """Label and value of what a method does in a call, beside the scale; none where it has nothing
    of its own. Lengths are norms over all entries, as the methods' papers have them.
    """
    method = acting_method(run.settings)
    if not run.guided[call]:
        return []
    cond = run.pred_cond[call].astype(np.float64)
    if method == PAG and run.pred_perturbed is not None:
        away = cond - run.pred_perturbed[call]
        return [("|c − p| / √D", float(np.linalg.norm(away)) / math.sqrt(away.size))]
    if run.pred_uncond is None:
        return []
    uncond = run.pred_uncond[call].astype(np.float64)
    if method == ZERO_STAR:
        return [("s", float((cond * uncond).sum() / np.square(uncond).sum()))]
    if method == APG:
        return _projected(run, call)
    return []


def _projected(run: Run, call: int) -> list[tuple[str, float]]:
    """The length of the averaged difference, the share of it that the threshold leaves, and its two
    parts (Sadat et al. 2024, algorithm 1).
    """
    settings = run.settings
    assert run.pred_uncond is not None
    average = np.zeros_like(run.pred_cond[call], dtype=np.float64)
    for at in range(call + 1):
        if run.guided[at]:
            gap = run.pred_cond[at].astype(np.float64) - run.pred_uncond[at]
            average = gap + settings.apg_momentum * average
    length = float(np.linalg.norm(average))
    threshold = settings.apg_norm_threshold
    share = min(1.0, threshold / length) if threshold > 0 and length > 0 else 1.0
    along = run.pred_cond[call].astype(np.float64).ravel()
    along = along / np.linalg.norm(along)
    parallel = float(average.ravel() @ along)
    across = math.sqrt(max(length**2 - parallel**2, 0.0))
    return [
        ("|d|", length),
        ("kept by the threshold", share),
        ("|d∥|", abs(parallel) * share),
        ("|d⊥|", across * share),
    ]
