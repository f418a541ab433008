"""The quantities of a step, measured on the device for all cells of a batch at once.

StepRecord says what each is. Everything is in variance-preserving coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from core.diffusion.trajectory import StepRecord

QUANTITIES = (
    "latent_rms",
    "raw_latent_norm",
    "x0_rms",
    "guidance_gap",
    "guidance_gap_x0",
    "misalignment",
    "x0_gap_parallel",
    "x0_gap_orthogonal",
    "std_inflation",
    "settling",
    "saturation",
)
SATURATED = 1 - 1 / 255
"""From here on the preview, which rounds -1 to 1 to 0 to 255, is at 0 or 255."""

GUIDANCE_QUANTITIES = frozenset(
    (
        "guidance_gap",
        "guidance_gap_x0",
        "misalignment",
        "x0_gap_parallel",
        "x0_gap_orthogonal",
        "std_inflation",
    )
)


def measure(
    *,
    x_vp: torch.Tensor,
    raw: torch.Tensor,
    x0: torch.Tensor,
    previous_x0: torch.Tensor,
    x0_cond: torch.Tensor,
    x0_uncond: torch.Tensor,
    eps_cond: torch.Tensor,
    eps_uncond: torch.Tensor,
    eps_guided: torch.Tensor,
    preview: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """The quantities of one step for B cells at once, (B, len(QUANTITIES) + 2 C), float32.

    All latents are (B, C, h, w) in float32; `preview` is the linear
    latent-to-RGB weight (C, 3) and bias (3). After QUANTITIES come the channels' means and
    standard deviations. Stays on the device: nothing is copied to the host.
    """
    entries = x_vp[0].numel()
    root = math.sqrt(entries)
    cond, uncond = eps_cond.flatten(1), eps_uncond.flatten(1)
    difference = cond - uncond
    cond_norm = cond.norm(dim=1)
    gap = difference.norm(dim=1)
    x0_cond, x0_gap = x0_cond.flatten(1), (x0_cond - x0_uncond).flatten(1)
    parallel = (x0_gap * x0_cond).sum(1) / x0_cond.norm(dim=1)
    in_x0 = x0_gap.norm(dim=1)  # sigma times the gap
    # 1 - cos is lost to rounding for near-equal vectors: |a - b|^2 = 2 (1 - cos) for unit ones.
    unit_gap = cond / cond_norm[:, None] - uncond / uncond.norm(dim=1, keepdim=True)
    rgb = torch.einsum("bchw,cr->brhw", x0, preview[0]) + preview[1].view(1, 3, 1, 1)
    columns = (
        x_vp.flatten(1).norm(dim=1) / root,
        raw.flatten(1).norm(dim=1),
        x0.flatten(1).norm(dim=1) / root,
        gap / root,
        in_x0 / root,
        unit_gap.square().sum(1) / 2,
        parallel.abs() / root,
        (in_x0.square() - parallel.square()).clamp_min(0).sqrt() / root,
        eps_guided.flatten(1).std(1) / cond.std(1),
        (x0 - previous_x0).flatten(1).norm(dim=1) / root,
        (rgb.abs() >= SATURATED).float().mean((1, 2, 3)),
    )
    channels = (x_vp.mean((2, 3)), x_vp.std((2, 3), correction=0))
    return torch.cat([torch.stack(columns, dim=1), *channels], dim=1)


def build_records(
    *,
    timesteps: Sequence[float],
    sigmas: Sequence[float],
    measured: torch.Tensor,
    x0: torch.Tensor,
    guided: Sequence[bool],
) -> tuple[StepRecord, ...]:
    """Records from what `measure` gave over N calls, (N, Q), and their x0s, (N, C, h, w); `guided`
    says of each call whether there was an unconditional prediction.
    """
    final = x0[-1].flatten()
    cosines = torch.nn.functional.cosine_similarity(x0.flatten(1), final[None], dim=1)
    rows, similar = measured.tolist(), cosines.tolist()
    channels = x0.shape[1]
    records: list[StepRecord] = []
    for index, (timestep, sigma, row) in enumerate(zip(timesteps, sigmas, rows, strict=True)):
        values: dict[str, Any] = dict(zip(QUANTITIES, row, strict=False))
        if not guided[index]:
            values.update(dict.fromkeys(GUIDANCE_QUANTITIES))
        if index == 0:
            values["settling"] = None
        means = row[len(QUANTITIES) : len(QUANTITIES) + channels]
        records.append(
            StepRecord(
                step_index=index,
                timestep=timestep,
                sigma=sigma,
                log_snr=-2 * math.log(sigma) if sigma > 0 else math.inf,
                x0_cos_final=similar[index],
                channel_mean=tuple(means),
                channel_std=tuple(row[len(QUANTITIES) + channels :]),
                **values,
            )
        )
    return tuple(records)
