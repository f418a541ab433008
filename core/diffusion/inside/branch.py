"""Branch of a run: guidance, prompt or scheduler changed from UNet call k on.

The run is made again up to call k, which is exact and brings the scheduler's memory and the
generator with it; from there the cell goes on with other settings. Prompt switching (Hertz et al.
2022, sec. 3) and guidance intervals (Kynkaanniemi et al. 2024) are such branches.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import Change, Future
from core.diffusion.inside.unrolled import as_array, finite, require_room, step
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import ROW_ORDER
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerRow
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.prediction import PREDICTIONS, Prediction, prediction_type_of
from core.diffusion.sampling.text_encoder import Conditioning
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

SAME_LEVEL = 1e-3
"""Noise levels that differ by less than this share are one: nothing has to lead across."""


@dataclass(eq=False)
class _Track:
    """What is kept of each call, over all the cells that a branch runs through."""

    sigmas: list[float] = field(default_factory=list[float])
    x0: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    latents: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    def keep(self, cell: BatchCell) -> None:
        self.sigmas.append(cell.sigmas[cell.call - 1])
        if cell.x0 is not None:
            self.x0.append(cell.x0)
        self.latents.append(cell.latents)


def branch(
    model: LoadedModel, settings: GenerationSettings, change: Change
) -> Generator[tuple[int, int], None, Future]:
    """Run `settings` with `change`; without a change its pixels are the strict run's.

    A new scheduler takes over in variance-preserving coordinates, with as many steps as the run
    has, at its first level not above the latents' own, and draws on from the run's generator.
    Where that level lies below, one plain step (DDIM's, with a UNet call of its own) leads down to
    it; at the run's first call nothing has happened yet, and the new scheduler simply begins.
    Raises SettingsError.
    """
    before = replace(settings, snapshot=0)
    after = changed(before, change)
    for one in (before, after):
        one.require_valid(vae_scale_factor=model.info.vae_scale_factor)
    calls = unet_calls(before, model.info.scheduler_config)
    end = calls if change.end is None else min(change.end, calls)
    if not 0 <= change.start < calls or end <= change.start:
        reason = f"{change.start + 1} to {end} are no calls of a run that has {calls}"
        raise SettingsError([Problem(field="num_inference_steps", reason=reason)])
    batch = Batch(model, max_rows=len(ROW_ORDER))
    require_room(batch, before)
    track = _Track()
    switches = after.scheduler != before.scheduler
    begins_anew = switches and change.start == 0
    cell = batch.admit(after if begins_anew else before, strict=True, record="none")
    bridged: tuple[float, float] | None = None
    while not cell.is_done:
        if cell.call == change.start and cell.settings != after and not begins_anew:
            if switches:
                bridged, cells = _hand_over(batch, cell, after)
                for cell in cells:
                    batch.cells = [cell]
                    while not cell.is_done:
                        step(batch, cell)
                        track.keep(cell)
                        yield len(track.sigmas), len(track.sigmas) + cell.total_calls - cell.call
                break
            _use(batch, cell, after)
        if cell.call == end < cell.total_calls and not switches:
            _use(batch, cell, before)
        step(batch, cell)
        track.keep(cell)
        yield cell.call, cell.total_calls + 1
    image = Engine(model).decode(finite(track.latents[-1]).to(model.dtype))
    return Future(
        change=change,
        shared=0 if begins_anew else change.start,
        sigmas=tuple(track.sigmas),
        x0=as_array(track.x0),
        latents=track.latents[-1][0].float().cpu().numpy(),
        bridged=bridged,
        image=image,
    )


def changed(settings: GenerationSettings, change: Change) -> GenerationSettings:
    """The settings that hold within the change."""
    wanted = {
        name: value
        for name in ("prompt", "negative_prompt", "guidance_scale", "scheduler")
        if (value := getattr(change, name)) is not None
    }
    return replace(settings, **wanted)


def _use(batch: Batch, cell: BatchCell, settings: GenerationSettings) -> None:
    """The cell goes on with other words and another guidance; its scheduler stays its own."""
    cell.settings = settings
    batch.condition(cell, settings)


def _hand_over(
    batch: Batch, cell: BatchCell, after: GenerationSettings
) -> tuple[tuple[float, float] | None, list[BatchCell]]:
    """The cells that lead from `cell`'s latents to the end by another scheduler, in order.

    The first is the plain step to the new scheduler's level, where one is needed; the latents of
    the next are set when it is done.
    """
    timestep = cell.timesteps[cell.call]
    sigma = cell.sigmas[cell.call]
    x_vp = cell.scheduler.scale_model_input(cell.latents, timestep)
    row = SCHEDULERS[after.scheduler]
    fresh = batch.admit(after, strict=True, record="none")
    batch.drop(fresh)  # it is in flight once its latents are there
    if "generator" in fresh.step_kwargs:
        # Its own would give once more the noise that has gone into these latents.
        fresh.step_kwargs["generator"] = cell.generator
    starts = _step_starts(fresh, row)
    first = next((i for i in starts if fresh.sigmas[i] <= sigma * (1 + SAME_LEVEL)), None)
    if first is not None and abs(fresh.sigmas[first] / sigma - 1) <= SAME_LEVEL:
        _begin_at(fresh, row, first, x_vp)
        return None, [fresh]
    target = 0.0 if first is None else fresh.sigmas[first]
    at = -1 if first is None else first
    told, acts = fresh.conditions[at], fresh.guided[at]
    bridge = _bridge_cell(batch, fresh, x_vp, (sigma, target), timestep[None], acts, told)
    if first is None:
        return (sigma, target), [bridge]

    def go_on(reached: torch.Tensor) -> None:
        _begin_at(fresh, row, first, reached)

    bridge.scheduler.then = go_on
    return (sigma, target), [bridge, fresh]


def _step_starts(cell: BatchCell, row: SchedulerRow) -> list[int]:
    """The calls at which a step of a scheduler begins, and not the second half of one."""
    calls = range(cell.total_calls)
    if row.repeats_first_transition:
        return [call for call in calls if call != 1]  # the second of two at one level is taken
    return list(calls[:: row.calls_per_step])


def _begin_at(cell: BatchCell, row: SchedulerRow, call: int, x_vp: torch.Tensor) -> None:
    """Set a fresh cell to begin at one of its calls, from variance-preserving latents."""
    scheduler = cell.scheduler
    times, levels, guided = cell.timesteps[call:], cell.sigmas[call:], cell.guided[call:]
    told = cell.conditions[call:]
    if row.repeats_first_transition and call > 0:
        # PNDM runs the first transition twice wherever it begins.
        times, levels = torch.cat([times[:2], times[1:]]), [*levels[:2], *levels[1:]]
        guided = [*guided[:2], *guided[1:]]
        told = [*told[:2], *told[1:]]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(call)
    cell.timesteps, cell.sigmas, cell.guided, cell.conditions = times, levels, guided, told
    cell.latents = x_vp * ((1 + levels[0] ** 2) ** 0.5 if row.sigma_space else 1.0)


@dataclass(eq=False)
class _PlainStep:
    """DDIM's step between any two noise levels, in variance-preserving coordinates."""

    sigma: float
    target: float
    prediction: Prediction
    then: Any = None

    def scale_model_input(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return sample

    def step(
        self,
        prediction: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        """(1, C, h, w) at `sigma` -> at `target`: sqrt(abar') x0 + sqrt(1 - abar') eps."""
        sigma, target = torch.tensor([[self.sigma], [self.target]], device=sample.device)
        x, said = sample.float(), prediction.float()
        x0 = self.prediction.to_x0(said, x, sigma)
        epsilon = self.prediction.to_epsilon(said, x, sigma)
        reached = self.prediction.add_noise(x0, epsilon, target).to(sample.dtype)
        if self.then is not None:
            self.then(reached)
        return (reached,)


def _bridge_cell(
    batch: Batch,
    fresh: BatchCell,
    x_vp: torch.Tensor,
    levels: tuple[float, float],
    timestep: torch.Tensor,
    is_guided: bool,
    told: Conditioning,
) -> BatchCell:
    """One call with the new settings that leads from one noise level to another."""
    sigma, target = levels
    return BatchCell(
        settings=fresh.settings,
        strict=True,
        record="none",
        latents=x_vp,
        conditions=[told],
        scheduler=_PlainStep(
            sigma=sigma,
            target=target,
            prediction=PREDICTIONS[prediction_type_of(batch.model.info.scheduler_config)],
        ),
        timesteps=timestep,
        sigmas=[sigma],
        rows_of_call=fresh.rows_of_call,
        rows_at_rest=fresh.rows_at_rest,
        guided=[is_guided],
        step_kwargs={},
        generator=fresh.generator,
    )
