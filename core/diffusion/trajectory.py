"""StepRecord and Trajectory: what is known of each denoising step. Imports no torch.

Everything is in variance-preserving coordinates, x_VP = sqrt(abar) x0 + sqrt(1 - abar) eps with
abar = 1 / (1 + sigma^2), so that schedulers compare.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

FILE_VERSION = 1
"""Of the files that `to_bytes` writes; those from before there were versions are read as 0.

A quantity more or less needs no new version: one that is not known is dropped, one that is not
there is None. A version that this program does not know is tried all the same.
"""


class TrajectoryError(Exception):
    """A stored trajectory that cannot be read. `is_damaged`: no version of the program can."""

    def __init__(self, message: str, *, is_damaged: bool) -> None:
        self.is_damaged = is_damaged
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One executed denoising step (one UNet call) of one image.

    D is the latent's number of entries. `latent_rms` norm(x_VP)/sqrt(D); `raw_latent_norm`
    norm(x) as the scheduler keeps it; `x0_rms` of the predicted x0, before the step;
    `guidance_gap` norm(eps_c - eps_u)/sqrt(D), and times sigma in x0 space; `misalignment`
    1 - cos(eps_c, eps_u); `x0_gap_parallel` and `x0_gap_orthogonal` RMS of the two parts of
    x0_c - x0_u, what is predicted with and without the prompt, along x0_c and across it;
    `std_inflation` std(eps_guided)/std(eps_c);
    `settling` norm(x0_i - x0_(i-1))/sqrt(D), None at the first step; `x0_cos_final`
    cos(x0_i, x0_last); `saturation` the share of the preview's subpixels at 0 or 255.
    The guidance quantities are None where guidance is off, and any quantity is (a channel's: an
    empty tuple) where the version that wrote the file did not measure it.
    """

    step_index: int
    timestep: float
    sigma: float
    log_snr: float
    latent_rms: float | None = None
    raw_latent_norm: float | None = None
    x0_rms: float | None = None
    guidance_gap: float | None = None
    guidance_gap_x0: float | None = None
    misalignment: float | None = None
    x0_gap_parallel: float | None = None
    x0_gap_orthogonal: float | None = None
    std_inflation: float | None = None
    settling: float | None = None
    x0_cos_final: float | None = None
    saturation: float | None = None
    channel_mean: tuple[float, ...] = ()
    channel_std: tuple[float, ...] = ()


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
        """Return the latent RMS of the last call; None where no step was run."""
        return self.records[-1].latent_rms if self.records else None

    def to_bytes(self) -> bytes:
        """A safetensors file: the records as JSON in its metadata, the tensors as they are."""
        tensors = {"count": np.array([len(self.records)])}
        if self.latents is not None:
            tensors["latents"] = np.ascontiguousarray(self.latents)
        if self.pred_original_sample is not None:
            tensors["pred_original_sample"] = np.ascontiguousarray(self.pred_original_sample)
        records = json.dumps([asdict(record) for record in self.records])
        return save(tensors, metadata={"version": str(FILE_VERSION), "records": records})

    @classmethod
    def from_bytes(cls, data: bytes) -> Trajectory:
        """Raises TrajectoryError when the file is cut short, is none of ours, or is of a later
        version that this one cannot read.
        """
        try:
            metadata: dict[str, str] = header_of(data)["__metadata__"]
            tensors = load(data)
            version = int(metadata.get("version", 0))
        except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise _damaged() from error
        try:
            raw: list[dict[str, Any]] = json.loads(metadata["records"])
            records = tuple(_record_from(values) for values in raw)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if version <= FILE_VERSION:
                raise _damaged() from error
            raise TrajectoryError(
                f"The stored trajectory was written by a newer version (its files are {version}, "
                f"this version reads up to {FILE_VERSION}). Update the program to see it.",
                is_damaged=False,
            ) from error
        return cls(
            records=records,
            latents=tensors.get("latents"),
            pred_original_sample=tensors.get("pred_original_sample"),
        )


def _damaged() -> TrajectoryError:
    return TrajectoryError(
        "The stored trajectory is damaged. Compute the image again to record its steps.",
        is_damaged=True,
    )


def _record_from(values: Mapping[str, Any]) -> StepRecord:
    """A step of a file of any version. Raises TypeError or KeyError for what is none."""
    known: dict[str, Any] = {}
    for field in fields(StepRecord):
        if field.name not in values and field.default is not MISSING:
            continue
        value = values[field.name]
        known[field.name] = tuple(map(_number, value)) if field.default == () else _number(value)
    return StepRecord(**known)


def _number(value: Any) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{value!r} is no number")
    return value


def header_of(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file: its metadata and, by name, each tensor's type and shape.

    `data` begins as the file does. Raises ValueError (its format: 8 bytes of length, then JSON).
    """
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
