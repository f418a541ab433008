"""The files that settings name beside the model, LoRAs and a VAE: looked up in the model roots.

Settings are a value and read no disk: who needs a digest, or runs them, asks here. Imports no
torch.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from core.diffusion.models.info import ModelInfo
from core.diffusion.models.lora.files import (
    LoraFile,
    canonical_loras,
    lora_paths,
    wanted_loras,
)
from core.diffusion.models.vae.files import VaeFile, misfit, refused, vae_paths, wanted_vae
from core.diffusion.settings import GenerationSettings, Problem, SettingsError


@dataclass(frozen=True, kw_only=True)
class NamedFiles:
    """The files that take part: LoRAs by their SHA-256, and a VAE in place of the model's own."""

    loras: tuple[LoraFile, ...] = ()
    vae: VaeFile | None = None

    @property
    def vae_sha(self) -> str:
        return self.vae.sha if self.vae else ""


def named_files(settings: GenerationSettings, info: ModelInfo | None = None) -> NamedFiles:
    """The files that the settings ask for. Raises SettingsError with every one that is not here,
    and where `info` is given, a VAE that does not go with that model.
    """
    problems: list[Problem] = []
    loras: tuple[LoraFile, ...] = ()
    vae: VaeFile | None = None
    try:
        loras = wanted_loras(settings)
    except SettingsError as error:
        problems += error.problems
    except OSError as error:
        problems.append(Problem(field="loras", reason=f"cannot be read ({error.strerror})"))
    try:
        vae = wanted_vae(settings)
        if vae is not None and info is not None and (reason := misfit(vae, info)):
            raise refused(reason)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return NamedFiles(loras=loras, vae=vae)


def file_problems(settings: GenerationSettings, info: ModelInfo | None = None) -> list[Problem]:
    """What is wrong with the files that the settings name, [] where nothing is."""
    try:
        named_files(settings, info)
    except SettingsError as error:
        return list(error.problems)
    return []


def digest_of(settings: GenerationSettings, model_fingerprint: str) -> str:
    """The digest with the files that are here; one that is not stands by its name, and such
    settings are those of no stored image.
    """
    loras = canonical_loras(settings.loras) if settings.loras else None
    return settings.digest(model_fingerprint, loras, _canonical_vae(settings))


def _canonical_vae(settings: GenerationSettings) -> str | None:
    try:
        vae = wanted_vae(settings)
    except SettingsError:
        return None
    return vae.sha if vae else None


@contextmanager
def walked_once() -> Generator[None]:
    """Search the model roots once while this lasts, when a file is first asked for."""
    with lora_paths.once(), vae_paths.once():
        yield
