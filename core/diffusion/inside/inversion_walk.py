"""DDIM there and back over a loaded model: a source to noise, and the noise to pictures."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image

from core.diffusion.inside.inverting import ONE_TEXT, inversion_problems, inverted_settings
from core.diffusion.inside.unrolled import finite
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.adapters import use_loras
from core.diffusion.models.lora.files import wanted_loras
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.prompt.texts import is_one_text
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerError
from core.diffusion.sampling.compute.memory import on_device
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.sampling.source_latents import SourceLatents
from core.diffusion.sampling.text_encoder import Conditioning, PromptEncoder
from core.diffusion.sampling.vae import decode
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

SHARED = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "clip_sample",
    "set_alpha_to_one",
    "steps_offset",
    "prediction_type",
    "timestep_spacing",
    "rescale_betas_zero_snr",
)
"""What the two schedulers of diffusers are both told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """What one way back is told, and its guidance scale."""

    given: Conditioning
    scale: float


class Walk:
    """DDIM there and back over one model, a UNet call a step for all that goes together."""

    def __init__(self, model: LoadedModel, settings: GenerationSettings, read: ReadInput) -> None:
        self.model, self.settings = model, inverted_settings(settings)
        if problems := inversion_problems(self.settings, model.info):
            raise SettingsError(problems)
        self._loras = wanted_loras(self.settings)
        self._encode = PromptEncoder(model)
        self._unet = UNetRows(model, max_rows=5)
        generator = torch.Generator("cpu")  # of which the mean takes nothing
        self.source = SourceLatents(model, read).latents(self.settings, generator).float()

    def way(self, scale: float, prompt: str | None = None) -> Way:
        """The settings' prompt, or another one, at a guidance scale; 1 and below is none."""
        told = replace(self.settings, guidance_scale=scale)
        if prompt is not None:
            told = replace(told, prompt=prompt, prompt_blend=0.0)
        if not is_one_text(told):
            raise SettingsError([Problem(field="prompt", reason=ONE_TEXT)])
        return Way(given=self._encode.condition(told, steps=1)[0], scale=scale)

    def there(self, way: Way, steps: int) -> Generator[None, None, tuple[list[Any], list[int]]]:
        """Give the latents (1, C, h, w) from the source to the noise, and the timesteps between."""
        scheduler = ddim_pair(self.model, steps)[1]
        latents = [self.source]
        for t in scheduler.timesteps:
            predicted = self._predict([(way, latents[-1])], t)[0]
            latents.append(scheduler.step(predicted, t, latents[-1], return_dict=False)[0])
            yield
        return latents, [int(t) for t in scheduler.timesteps]

    def back(
        self, ways: Sequence[Way], noise: torch.Tensor, steps: int
    ) -> Generator[list[torch.Tensor], None, list[torch.Tensor]]:
        """What comes of the noise on each way, (1, C, h, w); given after each step, and at the
        end.
        """
        scheduler = ddim_pair(self.model, steps)[0]
        latents = [noise] * len(ways)
        for t in scheduler.timesteps:
            predicted = self._predict(list(zip(ways, latents, strict=True)), t)
            latents = [
                scheduler.step(one, t, x, return_dict=False)[0]
                for one, x in zip(predicted, latents, strict=True)
            ]
            yield latents
        return latents

    def picture(self, latents: torch.Tensor) -> Image.Image:
        pixels = decode(self.model, finite(latents))[0].float() / 2 + 0.5
        array = pixels.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return Image.fromarray((array * 255).round().astype(np.uint8))

    def _predict(
        self, pairs: Sequence[tuple[Way, torch.Tensor]], timestep: torch.Tensor
    ) -> list[torch.Tensor]:
        """What the model says on each way, guided as diffusers guides (Ho and Salimans 2022).

        Ways whose texts are of different lengths, as BREAK makes them, are calls of their own.
        """
        use_loras(self.model, self._loras)  # others may have been asked for in between
        lengths = dict.fromkeys(way.given.tokens for way, _ in pairs)
        said: dict[int, torch.Tensor] = {}
        for tokens in lengths:
            alike = [at for at, (way, _) in enumerate(pairs) if way.given.tokens == tokens]
            found = self._predict_alike([pairs[at] for at in alike], timestep)
            said |= dict(zip(alike, found, strict=True))
        return [said[at] for at in range(len(pairs))]

    def _predict_alike(
        self, pairs: Sequence[tuple[Way, torch.Tensor]], timestep: torch.Tensor
    ) -> list[torch.Tensor]:
        rows: list[tuple[torch.Tensor, ...]] = []
        for way, x in pairs:
            given = way.given
            sample = x.to(self.model.dtype)
            if given.uncond is not None:
                rows.append((sample, *given.uncond))
            rows.append((sample, *given.conds[0]))
        sample, *told = map(torch.cat, zip(*rows, strict=True))
        times = on_device([float(timestep)] * len(rows), self.model.device)
        said = iter(self._unet(sample, times, *told).float().split(1))
        found: list[torch.Tensor] = []
        for way, _ in pairs:
            uncond = next(said) if way.given.uncond is not None else None
            cond = next(said)
            found.append(cond if uncond is None else uncond + way.scale * (cond - uncond))
        return found


def ddim_pair(model: LoadedModel, steps: int) -> tuple[Any, Any]:
    """DDIM and its inverse over the same `steps` levels of the model's schedule. Where the model's
    timesteps lie by "linspace", which the inverse does not know, both lie by "leading".
    """
    config = dict(model.info.scheduler_config)
    if config.get("timestep_spacing") not in ("leading", "trailing"):
        config["timestep_spacing"] = "leading"
    try:
        forward = SCHEDULERS["DDIM"].build(config | {"clip_sample": False})
    except SchedulerError as error:
        raise SettingsError([Problem(field="model", reason=str(error))]) from error
    given = {key: forward.config[key] for key in SHARED}
    inverse: Any = diffusers.DDIMInverseScheduler.from_config(given)
    for scheduler in (forward, inverse):
        scheduler.set_timesteps(steps)
    return forward, inverse
