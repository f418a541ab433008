"""Seeds -> initial latents, with the variations that the settings ask for."""

from __future__ import annotations

import torch

from core.diffusion.recipe.variations import VariationError, variations_of, vary
from core.diffusion.settings import GenerationSettings, Problem, SettingsError


def seeded_noise(seed: int, shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Generator]:
    """Unit-variance noise (1, C, h, w) in float32, and the generator it came from.

    Drawn on the CPU whatever the device, so that a seed is the same picture everywhere. The
    stochastic schedulers go on drawing from the same generator, as diffusers' pipeline does.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, *shape), generator=generator), generator


def initial_noise(
    settings: GenerationSettings,
    shape: tuple[int, int, int],
    drawn_from: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Generator]:
    """The noise (1, C, h, w) that the settings ask for, with the seed's own generator.

    `drawn_from` is that generator where it has been drawn from already, for a source's latents.
    Raises SettingsError for a channel that the model does not have.
    """
    if drawn_from is None:
        noise, generator = seeded_noise(settings.seed, shape)
    else:
        noise, generator = torch.randn((1, *shape), generator=drawn_from), drawn_from
    try:
        for variation in variations_of(settings):
            other, _ = seeded_noise(variation.seed, shape)
            noise = vary(noise, other, variation, settings.height // shape[1])
    except VariationError as error:
        raise SettingsError([Problem(field="variation_channel", reason=str(error))]) from error
    if settings.noise_multiplier != 1:
        noise = settings.noise_multiplier * noise
    return noise, generator
