"""Batch: the denoising loop, unrolled, a row a cell. The customised pipeline.

Cells in one batch differ in prompt, seed, guidance, steps and scheduler; each owns its latents,
its generator and its own scheduler (schedulers keep state, and a shared one makes wrong images).
A finished cell leaves between steps and another may take its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.diffusion.events import Record
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.adapters import use_loras
from core.diffusion.models.lora.files import wanted_loras
from core.diffusion.recipe.guidance.methods import APG, CFG_PP, ROW_ORDER, Row
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.sampler import sampler_of
from core.diffusion.recipe.schedule import call_sigmas, step_range
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.cell import BatchCell, guidance_rows
from core.diffusion.sampling.compute.memory import is_out_of_memory, on_device, with_room
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.sampling.guidance import Said, averaged, guide, renoised
from core.diffusion.sampling.prediction import PREDICTIONS, prediction_type_of
from core.diffusion.sampling.quantities import measure
from core.diffusion.sampling.sampler import laid_out, step_kwargs
from core.diffusion.sampling.source_latents import SourceLatents
from core.diffusion.sampling.text_encoder import Conditioning, PromptEncoder, Told
from core.diffusion.settings import GenerationSettings


class Batch:
    """Cells in flight over one model. Those of one latent shape and one choice of LoRAs go through
    the UNet together. Not for use by several threads.
    """

    def __init__(
        self, model: LoadedModel, *, max_rows: int, inputs: ReadInput | None = None
    ) -> None:
        self.model, self.max_rows = model, max_rows
        self.sources = SourceLatents(model, inputs)
        self._unet = UNetRows(model, max_rows=max_rows)
        self.cells: list[BatchCell] = []
        self.rows_of_step = 0
        """UNet rows of the step that was last."""
        self._encode = PromptEncoder(model)
        self._prediction = PREDICTIONS[prediction_type_of(model.info.scheduler_config)]
        form = model.info.latent_format
        self.preview = (
            torch.tensor(form.preview_weight, device=model.device),  # (C, 3)
            torch.tensor(form.preview_bias, device=model.device),  # (3,)
        )

    def max_rows_of(self, settings: GenerationSettings) -> int:
        """Return how many UNet rows of this size go together."""
        return self._unet.max_rows_of(self.latent_shape(settings))

    def latent_shape(self, settings: GenerationSettings) -> tuple[int, int, int]:
        info = self.model.info
        factor = info.vae_scale_factor
        return (info.latent_channels, settings.height // factor, settings.width // factor)

    def has_room(self, settings: GenerationSettings, *, beyond: int = 0) -> bool:
        """Return whether a cell fits beside those in flight, with so many rows more than `max_rows`
        of all and than go together of its size: the UNet then takes them in halves.
        """
        if not self.cells:
            return True
        rows = self.model.info.family.rows(settings)
        shape = self.latent_shape(settings)
        alike = sum(cell.rows for cell in self.cells if _shape(cell) == shape)
        return (
            alike + rows <= self.max_rows_of(settings) + beyond
            and sum(cell.rows for cell in self.cells) + rows <= self.max_rows + beyond
        )

    @torch.no_grad()
    def admit(
        self, settings: GenerationSettings, *, strict: bool = False, record: Record = "norms"
    ) -> BatchCell:
        """Draw the noise, embed the prompts, build the cell's scheduler; add the cell.

        Raises SettingsError for more steps than the model has timesteps for, and for a source of
        another size; InputError for a source that is not there.
        """
        model = self.model
        row = sampler_of(settings)
        begin = step_range(settings, model.info.scheduler_config)
        scheduler = laid_out(settings, begin.schedule_steps, model.info.scheduler_config)
        first = begin.first_call(row)
        if hasattr(scheduler, "set_begin_index"):
            # Else it looks for the first timestep, and where rounding has doubled that one (1000
            # steps of DPM++ 2M) begins at the second and runs off its own table.
            scheduler.set_begin_index(first)
        calls = slice(first, first + begin.calls(row))
        timesteps, sigmas = scheduler.timesteps[calls], call_sigmas(row, scheduler)[calls]
        beginning = self.sources.initial_latents(
            settings, self.latent_shape(settings), scheduler, first, timesteps
        )
        loras = wanted_loras(settings)
        rows_of_call, rows_at_rest, guided = guidance_rows(model, settings, len(sigmas))
        cell = BatchCell(
            settings=settings,
            loras=loras,
            strict=strict,
            record=record,
            latents=beginning.latents,
            conditions=self.conditions(settings, begin.num_executed_steps, len(sigmas)),
            scheduler=scheduler,
            timesteps=timesteps,
            sigmas=sigmas,
            rows_of_call=rows_of_call,
            rows_at_rest=rows_at_rest,
            guided=guided,
            step_kwargs=step_kwargs(settings, scheduler, beginning.generator),
            generator=beginning.generator,
            blend=beginning.blend,
            overlay=beginning.overlay,
        )
        self.cells.append(cell)
        return cell

    def condition(self, cell: BatchCell, settings: GenerationSettings) -> None:
        """Condition a cell by these prompts and this guidance from its next call on."""
        calls = cell.total_calls
        steps = SCHEDULERS[settings.scheduler].step_of(calls - 1)
        cell.conditions = self.conditions(settings, steps, calls)
        rows = guidance_rows(self.model, settings, calls)
        cell.rows_of_call, cell.rows_at_rest, cell.guided = rows

    def conditions(
        self, settings: GenerationSettings, steps: int, calls: int
    ) -> list[Conditioning]:
        """What the UNet is told in each call of a run of so many steps; once where it has none."""
        by_step = self._encode.condition(settings, steps)
        row = SCHEDULERS[settings.scheduler]
        return [by_step[row.step_of(call) - 1] for call in range(max(calls, 1))]

    def drop(self, cell: BatchCell) -> None:
        self.cells.remove(cell)

    @torch.no_grad()
    def step(self) -> None:
        """One UNet call for every cell in flight. Finished cells stay until dropped, and so do
        those that cannot go on, whose `failure` says why.
        """
        running = [cell for cell in self.cells if not cell.is_done and not cell.failure]
        self.rows_of_step = 0
        together: dict[Any, list[BatchCell]] = {}
        for cell in running:
            if not cell.strict:
                alike = (_shape(cell), cell.condition.tokens, cell.loras)
                together.setdefault(alike, []).append(cell)
        for cells in together.values():
            self._advance(cells)
        for cell in running:
            if cell.strict:
                self._advance([cell])

    def _advance(self, cells: Sequence[BatchCell]) -> None:
        x_vp = with_room(
            self.model.device,
            # Sigma-space schedulers divide by sqrt(1 + sigma^2), which gives x_VP; for the
            # others the latents are x_VP already.
            lambda: [
                cell.scheduler.scale_model_input(cell.latents, cell.timesteps[cell.call])
                for cell in cells
            ],
        )
        rows: list[tuple[BatchCell, torch.Tensor, Row, Told]] = [
            (cell, x, kind, told)
            for kind in ROW_ORDER
            for cell, x in zip(cells, x_vp, strict=True)
            for told in cell.told(kind)
        ]
        self.rows_of_step += len(rows)
        use_loras(self.model, cells[0].loras)  # others may have been asked for in between

        def gather() -> list[torch.Tensor]:
            times = [float(cell.timesteps[cell.call]) for cell, *_ in rows]
            given = [told for *_, told in rows]
            return [
                torch.cat([x for _, x, *_ in rows]),  # (rows, C, h, w)
                on_device(times, self.model.device),  # (rows,)
                # (rows, tokens, width), and (rows, ...) each
                *map(torch.cat, zip(*given, strict=True)),
            ]

        noise_pred = self._unet(
            *with_room(self.model.device, gather),
            perturbed=[cell.perturbed(kind) for cell, _, kind, _ in rows],
            is_one_cell=cells[0].strict,
        )
        found: dict[int, dict[Row, list[torch.Tensor]]] = {id(cell): {} for cell in cells}
        for (cell, _, kind, _), pred in zip(rows, noise_pred.split(1), strict=True):
            found[id(cell)].setdefault(kind, []).append(pred)
        said = [cell.said(found[id(cell)]) for cell in cells]
        guided = with_room(
            self.model.device,
            lambda: [guide(one, cell.settings) for cell, one in zip(cells, said, strict=True)],
        )
        x0, measured = with_room(
            self.model.device, lambda: self._quantities(cells, x_vp, said, guided)
        )
        self._seen(x_vp, said, guided)
        for index, cell in enumerate(cells):
            cell.most_rows = max(cell.most_rows, len(rows))
            cell.x0 = x0[index : index + 1]
            if cell.record == "none" or measured is None:
                continue
            cell.measured.append(measured[index])
            cell.had_uncond.append(said[index].uncond is not None)
            cell.all_x0.append(cell.x0)
            if cell.record == "latents":
                cell.all_latents.append(cell.latents.float())
        for cell, one, pred, x in zip(cells, said, guided, x_vp, strict=True):
            try:
                self._step_scheduler(cell, one, pred, x)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                # A scheduler keeps what it was given before: half a step cannot be run again.
                cell.failure = "Out of memory in a step of its scheduler. Choose a smaller size."

    def _seen(
        self, x_vp: Sequence[torch.Tensor], said: Sequence[Said], guided: Sequence[torch.Tensor]
    ) -> None:
        """What went into a call and came out, a cell each: for those who take a run apart."""

    def _step_scheduler(
        self, cell: BatchCell, said: Said, guided_pred: torch.Tensor, x_vp: torch.Tensor
    ) -> None:
        scheduler = cell.scheduler
        timestep = cell.timesteps[cell.call]
        cell.latents = scheduler.step(
            guided_pred, timestep, cell.latents, **cell.step_kwargs, return_dict=False
        )[0]
        if cell.settings.guidance_method == CFG_PP and said.uncond is not None:
            sigma = on_device([cell.sigmas[cell.call]], self.model.device)
            uncond, guided = (
                self._prediction.to_epsilon(one.float(), x_vp.float(), sigma)
                for one in (said.uncond, guided_pred)
            )
            cell.latents = renoised(cell.latents, uncond, guided, scheduler, timestep)
        if cell.settings.guidance_method == APG and said.uncond is not None:
            cell.carried = averaged(said, cell.settings)
        cell.call += 1
        if cell.blend is not None:
            following = cell.timesteps[cell.call : cell.call + 1]
            cell.latents = cell.blend.apply(cell.latents, scheduler, following, cell.call)
        if cell.record == "latents" and cell.is_done:
            cell.all_latents.append(cell.latents.float())

    def _quantities(
        self,
        cells: Sequence[BatchCell],
        x_vp: Sequence[torch.Tensor],
        said: Sequence[Said],
        guided: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Predicted x0 of every cell, (cells, C, h, w), and what `measure` finds, where any cell
        records. Changes nothing, so that it can be run again.
        """
        sigma = on_device([cell.sigmas[cell.call] for cell in cells], self.model.device)
        x = torch.cat(list(x_vp)).float()
        one = torch.cat(list(guided)).float()
        x0 = self._prediction.to_x0(one, x, sigma)
        if all(cell.record == "none" for cell in cells):
            return x0, None
        cond = torch.cat([one.cond for one in said]).float()
        uncond = torch.cat([one.cond if one.uncond is None else one.uncond for one in said]).float()
        previous = torch.cat(
            [
                now if cell.x0 is None else cell.x0
                for cell, now in zip(cells, x0.split(1), strict=True)
            ]
        )
        measured = measure(
            x_vp=x,
            raw=torch.cat([cell.latents for cell in cells]).float(),
            x0=x0,
            previous_x0=previous,
            x0_cond=self._prediction.to_x0(cond, x, sigma),
            x0_uncond=self._prediction.to_x0(uncond, x, sigma),
            eps_cond=self._prediction.to_epsilon(cond, x, sigma),
            eps_uncond=self._prediction.to_epsilon(uncond, x, sigma),
            eps_guided=self._prediction.to_epsilon(one, x, sigma),
            preview=self.preview,
        )
        return x0, measured


def _shape(cell: BatchCell) -> tuple[int, ...]:
    return tuple(cell.latents.shape[1:])
