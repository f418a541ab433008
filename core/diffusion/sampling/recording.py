"""What a cell of the batch has recorded, as a trajectory."""

from __future__ import annotations

import torch

from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.quantities import build_records
from core.diffusion.trajectory import Trajectory


def trajectory_of(cell: BatchCell) -> Trajectory | None:
    """Copy what a cell has recorded so far to the host, at once. Of a run without any step (image
    to image of strength 0) that is no record, and the source's latents.
    """
    if cell.record == "none" or (cell.call == 0 and not cell.is_done):
        return None
    if cell.call == 0:
        final = cell.latents.float().cpu().numpy() if cell.record == "latents" else None
        none = None if final is None else final[:0]
        return Trajectory(records=(), latents=final, pred_original_sample=none)
    x0 = torch.cat(cell.all_x0).cpu()
    records = build_records(
        timesteps=[float(t) for t in cell.timesteps[: cell.call]],
        sigmas=cell.sigmas[: cell.call],
        measured=torch.stack(cell.measured).cpu(),
        x0=x0,
        guided=cell.had_uncond,
    )
    if cell.record == "norms":
        return Trajectory(records=records)
    latents = cell.all_latents if cell.is_done else [*cell.all_latents, cell.latents.float()]
    return Trajectory(
        records=records,
        latents=torch.cat(latents).cpu().numpy(),
        pred_original_sample=x0.numpy(),
    )
