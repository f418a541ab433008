"""Runs with known numbers, for whatever draws them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord, Trajectory
from core.output.figures.step_runs import Run

CHANNELS = 4
SIDE = 4


def step_record(index: int, steps: int, *, guided: bool = True, scale: float = 1.0) -> StepRecord:
    """Every number is another function of the step, so that no two can be taken for each other."""
    sigma = 14.6 * (1 - index / steps) ** 2
    along = index / steps
    return StepRecord(
        step_index=index,
        timestep=999.0 - 999 * along,
        sigma=sigma,
        log_snr=-2 * math.log(sigma),
        latent_rms=scale * (1 + 0.1 * along),
        raw_latent_norm=scale * (100 - 90 * along),
        x0_rms=scale * (0.5 + along),
        guidance_gap=0.2 + along if guided else None,
        guidance_gap_x0=3 - along if guided else None,
        misalignment=0.001 * (1 + index) if guided else None,
        x0_gap_parallel=0.05 + 0.01 * index if guided else None,
        x0_gap_orthogonal=0.15 + 0.01 * index if guided else None,
        std_inflation=1 + 0.02 * index if guided else None,
        settling=None if index == 0 else 1 / index,
        x0_cos_final=0.5 + 0.5 * (index + 1) / steps,
        saturation=0.01 * index,
        channel_mean=tuple(0.1 * channel * along for channel in range(CHANNELS)),
        channel_std=tuple(1 + channel * along for channel in range(CHANNELS)),
    )


def step_trajectory(
    steps: int, *, guided: bool = True, tensors: bool = False, scale: float = 1.0
) -> Trajectory:
    records = tuple(step_record(index, steps, guided=guided, scale=scale) for index in range(steps))
    if not tensors:
        return Trajectory(records=records)
    draw = np.random.default_rng(steps)
    shape = (CHANNELS, SIDE, SIDE)
    return Trajectory(
        records=records,
        latents=draw.standard_normal((steps + 1, *shape)).astype(np.float32),
        pred_original_sample=draw.standard_normal((steps, *shape)).astype(np.float32),
    )


def step_run(digest: str = "one", *, steps: int = 4, scale: float = 1.0, **changes: Any) -> Run:
    settings = GenerationSettings(
        **({"prompt": "a red apple", "num_inference_steps": steps} | changes)
    )
    guided = settings.uses_guidance
    records = step_trajectory(steps, guided=guided, scale=scale).records
    return Run(digest=digest, settings=settings, records=records)
