"""Tasks of the image-to-image page: what the VAE makes of a source, and what the loop starts from.

Each piece of work is one run of the encoder or the decoder, between two steps of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.schedule import Start, start_of
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.source_latents import SourceLatents
from core.diffusion.settings import GenerationSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundTrip:
    """A source after the VAE and back, with what the encoder says of it.

    `rms` is the root mean square of the latents, scaled to unit variance; `spread` the mean
    standard deviation of the posterior in the same units: what "sample" adds by chance.
    """

    picture: Image.Image
    rms: float
    spread: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NoisedInput:
    """What one run starts from, as the decoder sees it, and where on its schedule that is."""

    picture: Image.Image
    start: Start


def round_trip(
    source: np.ndarray,
) -> Callable[[LoadedModel], Generator[tuple[int, int], None, RoundTrip]]:
    """A task: the prepared picture (H, W, 3), or latents (C, h, w), as the decoder gives it."""

    def work(model: LoadedModel) -> Generator[tuple[int, int], None, RoundTrip]:
        form = model.info.latent_format
        if source.dtype == np.uint8:
            posterior = SourceLatents(model, None).encode(source)
            latents = form.from_vae(posterior.mean)
            std = 0.0 if posterior.std is None else float(posterior.std.mean())
            spread = std * form.scaling_factor
        else:
            latents, spread = torch.from_numpy(source)[None], 0.0
            latents = latents.to(model.device, model.dtype)
        yield 1, 2
        picture = Engine(model).decode(latents)
        rms = float(latents.float().square().mean().sqrt())
        return RoundTrip(picture=picture, rms=rms, spread=spread)

    return work


def noised_inputs(
    strip: Sequence[GenerationSettings], read: ReadInput
) -> Callable[[LoadedModel], Generator[tuple[int, int], None, list[NoisedInput]]]:
    """A task: for each of these settings the picture of the latents that its loop starts from,
    in variance-preserving coordinates, so that every scheduler's is on one scale.
    """

    def work(model: LoadedModel) -> Generator[tuple[int, int], None, list[NoisedInput]]:
        batch, engine = Batch(model, max_rows=2, inputs=read), Engine(model)
        found: list[NoisedInput] = []
        for done, settings in enumerate(strip, start=1):
            cell = batch.admit(settings, record="none")
            batch.drop(cell)
            latents = cell.latents
            if len(cell.timesteps):
                latents = cell.scheduler.scale_model_input(latents, cell.timesteps[0])
            start = start_of(settings, model.info.scheduler_config)
            found.append(NoisedInput(picture=engine.decode(latents), start=start))
            yield done, len(strip)
        return found

    return work
