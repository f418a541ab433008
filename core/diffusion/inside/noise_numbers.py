"""What each way of varying does to the noise, in numbers: a task for the worker."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.settings import GenerationSettings, SettingsError

if TYPE_CHECKING:
    from core.diffusion.models.loaded import LoadedModel


@dataclass(frozen=True, kw_only=True)
class NoiseNumbers:
    """One noise (C, h, w). `method` is "" for the source's own. The norm of pure noise is about
    the root of the number of entries. `cosine` is to the source. `problem` says why there are no
    numbers, "" where there are.
    """

    method: str
    mean: float = 0.0
    std: float = 0.0
    norm: float = 0.0
    cosine: float = 0.0
    problem: str = ""


def noise_numbers(
    settings: GenerationSettings,
) -> Callable[[LoadedModel], Generator[tuple[int, int], None, list[NoiseNumbers]]]:
    """A task: the source's noise, then every method's with the seed, strength, region and channel
    that the settings name. The source is what `settings.variation_chain` has made of the seed.
    """

    def work(model: LoadedModel) -> Generator[tuple[int, int], None, list[NoiseNumbers]]:
        from core.diffusion.sampling.noise import initial_noise

        info = model.info
        factor = info.vae_scale_factor
        shape = (info.latent_channels, settings.height // factor, settings.width // factor)
        source, _ = initial_noise(replace(settings, variation_strength=0.0), shape)
        found = [_numbers("", source, source)]
        for count, method in enumerate(METHODS, start=1):
            varied = replace(settings, variation_method=method)
            errors = varied.validate(vae_scale_factor=factor)
            try:
                if errors:
                    raise SettingsError(errors)
                found.append(_numbers(method, initial_noise(varied, shape)[0], source))
            except SettingsError as error:
                found.append(NoiseNumbers(method=method, problem=error.problems[0].reason))
            yield count, len(METHODS)
        return found

    return work


def _numbers(method: str, noise: Any, source: Any) -> NoiseNumbers:
    noise, source = noise.double(), source.double()
    return NoiseNumbers(
        method=method,
        mean=float(noise.mean()),
        std=float(noise.std()),
        norm=float(noise.norm()),
        cosine=float((noise * source).sum() / (noise.norm() * source.norm())),
    )
