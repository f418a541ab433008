"""StepRecord and Trajectory: what is known of each denoising step. Imports no torch.

Everything is in variance-preserving coordinates, x_VP = sqrt(abar) x0 + sqrt(1 - abar) eps with
abar = 1 / (1 + sigma^2), so that schedulers compare.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save


class TrajectoryError(Exception):
    """A stored trajectory that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One executed denoising step (one UNet call) of one image.

    D is the latent's number of entries. `latent_rms` norm(x_VP)/sqrt(D); `raw_latent_norm`
    norm(x) as the scheduler keeps it; `x0_rms` of the predicted x0, before the step;
    `guidance_gap` norm(eps_c - eps_u)/sqrt(D), and times sigma in x0 space; `misalignment`
    1 - cos(eps_c, eps_u); `guidance_parallel` and `guidance_orthogonal` RMS of the two parts of
    eps_c - eps_u, along eps_c and across it; `std_inflation` std(eps_guided)/std(eps_c);
    `settling` norm(x0_i - x0_(i-1))/sqrt(D), None at the first step; `x0_cos_final`
    cos(x0_i, x0_last); `saturation` the share of the preview's subpixels at 0 or 255.
    The guidance quantities are None where guidance is off.
    """

    step_index: int
    timestep: float
    sigma: float
    log_snr: float
    latent_rms: float
    raw_latent_norm: float
    x0_rms: float
    guidance_gap: float | None
    guidance_gap_x0: float | None
    misalignment: float | None
    guidance_parallel: float | None
    guidance_orthogonal: float | None
    std_inflation: float | None
    settling: float | None
    x0_cos_final: float
    saturation: float
    channel_mean: tuple[float, ...]
    channel_std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """The records of one image, in order; on request the tensors of every step, in float32.

    `latents` (N + 1, C, h, w): what the scheduler holds before each of the N calls, and at the
    end. `pred_original_sample` (N, C, h, w): the x0 predicted at each call.
    """

    records: tuple[StepRecord, ...]
    latents: np.ndarray | None = None
    pred_original_sample: np.ndarray | None = None

    @property
    def final_latent_rms(self) -> float | None:
        """Of the last call; None where no step was run."""
        return self.records[-1].latent_rms if self.records else None

    def to_bytes(self) -> bytes:
        """A safetensors file: the records as JSON in its metadata, the tensors as they are."""
        tensors = {"count": np.array([len(self.records)])}
        if self.latents is not None:
            tensors["latents"] = np.ascontiguousarray(self.latents)
        if self.pred_original_sample is not None:
            tensors["pred_original_sample"] = np.ascontiguousarray(self.pred_original_sample)
        records = json.dumps([asdict(record) for record in self.records])
        return save(tensors, metadata={"records": records})

    @classmethod
    def from_bytes(cls, data: bytes) -> Trajectory:
        """Raises TrajectoryError when the file is cut short or is none of ours."""
        try:
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            raw: list[dict[str, Any]] = json.loads(header["__metadata__"]["records"])
            tensors = load(data)
            records = tuple(_record_from(values) for values in raw)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise TrajectoryError(
                "The stored trajectory is damaged. Compute the image again to record it anew."
            ) from error
        return cls(
            records=records,
            latents=tensors.get("latents"),
            pred_original_sample=tensors.get("pred_original_sample"),
        )


def _record_from(values: dict[str, Any]) -> StepRecord:
    for name in ("channel_mean", "channel_std"):
        values[name] = tuple(values[name])
    return StepRecord(**values)
