"""Latents -> pictures: by the model's own VAE or another, together where they can be."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from core.diffusion.models.files.weights import first_line
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.vae.files import VaeFile
from core.diffusion.models.vae.loading import with_vae
from core.diffusion.sampling.vae import decode, decode_each
from core.diffusion.settings import SettingsError

log = logging.getLogger(__name__)


class GenerationError(RuntimeError):
    """An image that could not be made; the message says why."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Wanted:
    """Finite latents (1, C, h, w) to decode by a VAE, None for the model's own; `alone` as in a
    pipeline that makes one image.
    """

    key: str
    latents: torch.Tensor
    vae: VaeFile | None = None
    alone: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """What came of one: a picture, or why there is none; and its share of the seconds."""

    key: str
    picture: Image.Image | None
    reason: str = ""
    seconds: float


class Pictures:
    """Decodes for one model, as its family's pipeline does."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._images = VaeImageProcessor(vae_scale_factor=model.info.vae_scale_factor)

    def one(self, latents: torch.Tensor, vae: VaeFile | None = None) -> Image.Image:
        """Raises GenerationError where no finite numbers come out, SettingsError where the VAE is
        not to be had.
        """
        return self._picture(decode(with_vae(self._model, vae), latents), vae)

    def each(self, wanted: Sequence[Wanted]) -> Iterator[Decoded]:
        """Those of one VAE go together; a VAE that fails costs its own pictures alone."""
        groups: dict[tuple[str, str], list[Wanted]] = {}
        for one in wanted:
            sha = one.vae.sha if one.vae else ""
            groups.setdefault((sha, one.key if one.alone else ""), []).append(one)
        for group in groups.values():
            began = time.perf_counter()
            try:
                pixels = self._decoded(group)
            except SettingsError as error:
                pixels = [GenerationError(str(error))] * len(group)
            seconds = (time.perf_counter() - began) / len(group)
            for one, found in zip(group, pixels, strict=True):
                try:
                    picture = self._picture(found, one.vae)
                except GenerationError as error:
                    yield Decoded(key=one.key, picture=None, reason=str(error), seconds=seconds)
                else:
                    yield Decoded(key=one.key, picture=picture, seconds=seconds)

    def _decoded(self, group: Sequence[Wanted]) -> Sequence[torch.Tensor | RuntimeError]:
        """An error of a VAE that came from a file is that file's, not the engine's."""
        vae = group[0].vae
        try:
            return decode_each(with_vae(self._model, vae), [one.latents for one in group])
        except SettingsError:
            raise
        except Exception as error:
            if vae is None:
                raise
            log.warning("VAE %s could not decode", vae.name, exc_info=error)
            said = f"The VAE {vae.name} could not decode these latents ({first_line(error)})."
        return [GenerationError(f"{said} Choose another.")] * len(group)

    def _picture(self, pixels: torch.Tensor | RuntimeError, vae: VaeFile | None) -> Image.Image:
        if isinstance(pixels, GenerationError):
            raise pixels
        if isinstance(pixels, RuntimeError):
            raise GenerationError(
                "Out of memory while decoding the picture. Choose a smaller size."
            )
        if not torch.isfinite(pixels).all():
            mend = "download the model again, or use another"
            raise GenerationError(
                "The VAE gave no finite numbers for these latents, so there is no image. Its "
                f"weights may be damaged: {f'use another than {vae.name}' if vae else mend}."
            )
        return cast(Any, self._images).postprocess(pixels, output_type="pil")[0]
