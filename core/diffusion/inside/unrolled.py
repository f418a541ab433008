"""A run with every tensor kept, for the reader who wants to see inside. Drives the Batch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import Call, EmbeddedPrompt, Place, PlaceKind, Run
from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import APG
from core.diffusion.recipe.prompt.texts import MOST_PARTS, prompts_by_step
from core.diffusion.recipe.prompt.weights import parse_chunks, tokenized
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.guidance import Said, averaged, guide
from core.diffusion.sampling.noise import initial_noise
from core.diffusion.sampling.prediction import PREDICTIONS, prediction_type_of
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

MOST_BYTES = 256 * 2**20
"""What the tensors of one run may take in memory."""

MOST_DECODED = {"cpu": 64 * 128**2, "cuda": 64 * 512**2}
"""Pixels of predicted x0 that are decoded of one run, by the kind of device: a few seconds."""

_KEPT_PER_CALL = 6


class WatchedBatch(Batch):
    """A Batch of one cell that keeps what goes into each call and what comes out, (1, C, h, w)."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model, max_rows=MOST_PARTS + 1)
        self.x_vp: list[torch.Tensor] = []
        self.said: list[Said] = []
        self.guided: list[torch.Tensor] = []

    def _seen(
        self, x_vp: Sequence[torch.Tensor], said: Sequence[Said], guided: Sequence[torch.Tensor]
    ) -> None:
        self.x_vp += x_vp
        self.said += said
        self.guided += guided

    def rows(self, name: str) -> np.ndarray[Any, Any] | None:
        """A prediction of every call, (N, C, h, w), with zeros for a call that has none; None where
        no call has it.
        """
        found: list[torch.Tensor | None] = [getattr(one, name) for one in self.said]
        if all(one is None for one in found):
            return None
        nothing = torch.zeros_like(self.said[0].cond)
        return as_array([nothing if one is None else one for one in found])


def unroll(
    model: LoadedModel, settings: GenerationSettings
) -> Generator[tuple[int, int], None, Run]:
    """Run `settings` as diffusers' own pipeline does (strict) and keep every tensor.

    A `snapshot` is not one here: the run goes on to its end. Raises SettingsError for settings
    that cannot be run, or whose tensors would take more than MOST_BYTES.
    """
    settings = replace(settings, snapshot=0)
    settings.require_valid(vae_scale_factor=model.info.vae_scale_factor)
    batch = WatchedBatch(model)
    require_room(batch, settings)
    cell = batch.admit(settings, strict=True, record="none")
    prompts, negatives = encoded_texts(model, settings, cell)
    latents, x0 = [cell.latents], list[torch.Tensor]()
    while not cell.is_done:
        step(batch, cell)
        latents.append(cell.latents)
        if cell.x0 is not None:
            x0.append(cell.x0)
        yield cell.call, cell.total_calls + 1
    engine = Engine(model)
    image = engine.decode(finite(cell.latents).to(model.dtype))
    pictures: list[Image.Image] = []
    pixels = len(x0) * settings.width * settings.height
    if pixels <= MOST_DECODED.get(model.device.type, 0):
        for one in x0:
            pictures.append(engine.decode(one.to(model.dtype)))
            yield cell.call, cell.total_calls + 1
    return Run(
        settings=settings,
        prompts=prompts,
        negatives=negatives,
        rows=tuple(len(cell.rows_at(call)) for call in range(cell.total_calls)),
        noise=initial_noise(settings, batch.latent_shape(settings))[0][0].numpy(),
        timesteps=tuple(float(t) for t in cell.timesteps),
        sigmas=(*cell.sigmas, last_sigma(cell)),
        latents=as_array(latents),
        x_vp=as_array(batch.x_vp),
        pred_uncond=batch.rows("uncond"),
        pred_cond=as_array([one.cond for one in batch.said]),
        pred_perturbed=batch.rows("perturbed"),
        pred_guided=as_array(batch.guided),
        guided=tuple(cell.guided),
        x0=as_array(x0),
        prediction_type=prediction_type_of(model.info.scheduler_config),
        scheduler_config=dict(cell.scheduler.config),
        scaling_factor=float(model.vae.config.scaling_factor),
        image=image,
        x0_pictures=tuple(pictures),
    )


def step(batch: Batch, *cells: BatchCell) -> None:
    """One call of all cells in flight. Raises ModelError where one cannot go on."""
    batch.step()
    for cell in cells:
        if cell.failure:
            raise ModelError(cell.failure)


def look(run: Run, index: int, guidance_scale: float | None = None) -> Call:
    """UNet call `index` (from 0) of a run, guided by another scale: arithmetic, no model.

    With the run's own scale it is what the run did; without an unconditional prediction the scale
    has no effect. What APG carries from the calls before is the run's own.
    """
    scale = run.settings.guidance_scale if guidance_scale is None else guidance_scale
    settings = replace(run.settings, guidance_scale=scale)
    x = torch.from_numpy(run.x_vp[index : index + 1])
    sigma = torch.tensor([run.sigmas[index]])
    carried: torch.Tensor | None = None
    if settings.guidance_method == APG and run.pred_uncond is not None:
        for before in range(index):
            if run.guided[before]:
                carried = averaged(said_in(run, before, carried), settings)
    said = said_in(run, index, carried)
    uncond, cond, guided = said.uncond, said.cond, guide(said, settings)

    kind = PREDICTIONS[run.prediction_type]

    def epsilon(prediction: torch.Tensor) -> np.ndarray[Any, Any]:
        return kind.to_epsilon(prediction, x, sigma)[0].numpy()

    return Call(
        eps_uncond=None if uncond is None else epsilon(uncond),
        eps_cond=epsilon(cond),
        eps_guided=epsilon(guided),
        x0=kind.to_x0(guided, x, sigma)[0].numpy(),
    )


def said_in(run: Run, index: int, carried: torch.Tensor | None = None) -> Said:
    """What the UNet said in call `index` of a run."""

    def row(kept: np.ndarray | None) -> torch.Tensor | None:
        if kept is None or not run.guided[index]:
            return None
        return torch.from_numpy(kept[index : index + 1])

    return Said(
        call=index,
        is_guided=any(run.guided),
        cond=torch.from_numpy(run.pred_cond[index : index + 1]),
        uncond=row(run.pred_uncond),
        perturbed=row(run.pred_perturbed),
        carried=carried,
    )


def encoded_texts(
    model: LoadedModel, settings: GenerationSettings, cell: BatchCell
) -> tuple[tuple[EmbeddedPrompt, ...], tuple[EmbeddedPrompt, ...]]:
    """Each text that the prompt has in the run of a fresh cell, and that the negative one has."""
    row = SCHEDULERS[settings.scheduler]
    by_step = prompts_by_step(settings, row.step_of(max(cell.total_calls, 1) - 1))
    conds: dict[str, torch.Tensor] = {}
    unconds: dict[str, torch.Tensor] = {}
    for call, given in enumerate(cell.conditions):
        now = by_step[row.step_of(call) - 1]
        for (text, _), told in zip(now.parts, given.conds, strict=True):
            conds.setdefault(text, told[0])
        if given.uncond is not None:
            unconds.setdefault(now.negative, given.uncond[0])
    prompts, negatives = (
        tuple(embedded(model, text, states) for text, states in found.items())
        for found in (conds, unconds)
    )
    return prompts, negatives


def embedded(model: LoadedModel, text: str, embedding: torch.Tensor) -> EmbeddedPrompt:
    """The places of a text with the norms of `embedding`, (1, places, width); where another one is
    longer, the text's stand there more than once.
    """
    places: list[Place] = []
    norms: list[float] = embedding[0].float().norm(dim=-1).tolist()
    for pieces in parse_chunks(text):
        ids: list[int] = tokenized(
            model.tokenizer,
            pieces,
            padding="max_length",
            max_length=model.tokenizer.model_max_length,
            truncation=True,
        ).input_ids
        # The padding has the end token's id in Stable Diffusion 1: the first one ends the prompt.
        end = ids.index(model.tokenizer.eos_token_id, 1)
        first = len(places)
        places += [
            Place(
                position=first + position,
                kind=_kind(position, end),
                id=token,
                text=str(model.tokenizer.decode([token])).strip(),
                norm=norms[first + position],
            )
            for position, token in enumerate(ids)
        ]
    return EmbeddedPrompt(
        text=text,
        width=embedding.shape[-1],
        places=tuple(places),
        cut_off=Tokenizer(model.info.folder).cut_off(text),
    )


def _kind(position: int, end: int) -> PlaceKind:
    if position == 0:
        return "start"
    if position < end:
        return "token"
    return "end" if position == end else "padding"


def require_room(batch: Batch, settings: GenerationSettings) -> None:
    """Raises SettingsError where keeping every tensor of the run would fill the memory."""
    entries = int(np.prod(batch.latent_shape(settings)))
    calls = unet_calls(settings, batch.model.info.scheduler_config)
    size = entries * 4 * _KEPT_PER_CALL * calls
    if size > MOST_BYTES:
        fits = MOST_BYTES // (entries * 4 * _KEPT_PER_CALL)
        reason = (
            f"keeping every tensor of {calls} calls at this size takes {size / 2**20:,.0f} MB: "
            f"use at most {fits} calls, or a smaller picture"
        )
        raise SettingsError([Problem(field="num_inference_steps", reason=reason)])


def last_sigma(cell: BatchCell) -> float:
    """The noise level at which a run ends: 0, or DDIM's and PNDM's at timestep 0."""
    scheduler = cell.scheduler
    if SCHEDULERS[cell.settings.scheduler].sigma_at != "alphas_cumprod":
        return float(scheduler.sigmas[-1])
    if cell.settings.scheduler == "LCM":
        return 0.0  # its last call gives the denoised latents themselves
    abar = float(scheduler.final_alpha_cumprod)
    return ((1 - abar) / abar) ** 0.5


def finite(latents: torch.Tensor) -> torch.Tensor:
    """The latents themselves; raises SettingsError where they are no numbers any more."""
    if not torch.isfinite(latents).all():
        reason = "drove the latents beyond what numbers hold, so there is no picture: lower it"
        raise SettingsError([Problem(field="guidance_scale", reason=reason)])
    return latents


def as_array(tensors: Sequence[torch.Tensor]) -> np.ndarray[Any, Any]:
    """Tensors (1, C, h, w) as one float32 array (N, C, h, w) on the host."""
    return torch.cat(list(tensors)).float().cpu().numpy()
