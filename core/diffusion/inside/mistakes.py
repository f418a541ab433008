"""Classical mistakes, each really made, beside the same settings done right.

Every one drives the Batch and differs from it by what the mistake is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import MadeMistake
from core.diffusion.inside.mistake_table import MISTAKES
from core.diffusion.inside.unrolled import finite, step
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import ROW_ORDER
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.noise import seeded_noise
from core.diffusion.settings import MAX_SEED, GenerationSettings

LERP = 0.5
"""How far the noise is mixed: half of each, where a straight line is shortest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bench:
    """What a mistake works on: a batch of its own, and the settings that it is shown with."""

    model: LoadedModel
    batch: Batch
    settings: GenerationSettings

    def cell(self, **changes: Any) -> BatchCell:
        return self.batch.admit(replace(self.settings, **changes), strict=True, record="none")


def make_mistake(
    model: LoadedModel, settings: GenerationSettings, name: str
) -> Generator[tuple[int, int], None, MadeMistake]:
    """`MISTAKES[name]` with these settings, and the right picture. Raises SettingsError."""
    changes = dict(MISTAKES[name].changes)
    settings = replace(settings, snapshot=0, **changes)
    if name == "lerp":
        other = (settings.seed + 1) % (MAX_SEED + 1)
        settings = replace(settings, variation_seed=other, variation_strength=LERP)
    settings.require_valid(vae_scale_factor=model.info.vae_scale_factor)
    bench = _Bench(model=model, batch=Batch(model, max_rows=len(ROW_ORDER)), settings=settings)
    right = bench.cell()
    total = 2 * (right.total_calls + 1)
    while not right.is_done:
        step(bench.batch, right)
        yield right.call, total
    bench.batch.drop(right)
    wrong = _WAYS[name](bench, right)
    while not wrong.is_done:
        step(bench.batch, wrong)
        yield right.call + wrong.call, total
    decode = Engine(model).decode
    picture = (
        decode_unscaled(model, wrong.latents)
        if name == "unscaled"
        else decode(finite(wrong.latents).to(model.dtype))
    )
    return MadeMistake(
        right=decode(finite(right.latents).to(model.dtype)), wrong=picture, settings=settings
    )


@torch.no_grad()
def decode_unscaled(model: LoadedModel, latents: torch.Tensor) -> Image.Image:
    """Latents (1, C, h, w) through the VAE without dividing by its scaling factor."""
    pixels = model.vae.decode(latents.to(model.vae.dtype), return_dict=False)[0]
    processor = VaeImageProcessor(vae_scale_factor=model.info.vae_scale_factor)
    return cast(Any, processor).postprocess(pixels, output_type="pil")[0]


def _unscaled_input(bench: _Bench, right: BatchCell) -> BatchCell:
    cell = bench.cell()
    cell.scheduler.is_scale_input_called = True  # else diffusers says so in the log at every step
    cell.scheduler.scale_model_input = _as_it_is
    return cell


def _as_it_is(sample: torch.Tensor, timestep: object) -> torch.Tensor:
    return sample


def _nothing(bench: _Bench, right: BatchCell) -> BatchCell:
    """The latents are right: what is wrong comes after."""
    return right


def _shared_scheduler(bench: _Bench, right: BatchCell) -> BatchCell:
    """The same image a second time, by the scheduler that has just made the first."""
    cell = bench.cell()
    cell.scheduler = right.scheduler
    return cell


def _clipped(bench: _Bench, right: BatchCell) -> BatchCell:
    cell = bench.cell()
    cell.scheduler.register_to_config(clip_sample=True)
    return cell


def _lerped(bench: _Bench, right: BatchCell) -> BatchCell:
    """The same two noises, mixed in a straight line: their deviation falls to 0.71."""
    cell = bench.cell()
    shape = bench.batch.latent_shape(bench.settings)
    start, _ = seeded_noise(bench.settings.seed, shape)
    end, _ = seeded_noise(bench.settings.variation_seed, shape)
    mixed = (1 - LERP) * start + LERP * end
    cell.latents = mixed.to(cell.latents) * cell.scheduler.init_noise_sigma
    return cell


def _emptied(bench: _Bench, right: BatchCell) -> BatchCell:
    cell = bench.cell()
    bench.batch.condition(cell, replace(bench.settings, prompt=""))
    return cell


_WAYS: Mapping[str, Callable[[_Bench, BatchCell], BatchCell]] = {
    "unscaled input": _unscaled_input,
    "unscaled": _nothing,
    "shared": _shared_scheduler,
    "clipped": _clipped,
    "lerp": _lerped,
    "emptied": _emptied,
}
