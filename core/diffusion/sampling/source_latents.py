"""Source latents: what cells start from, each source picture encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.vae.files import VaeFile, wanted_vae
from core.diffusion.models.vae.loading import model_for, with_vae
from core.diffusion.recipe.images import InputError, ReadInput
from core.diffusion.recipe.masks import (
    Region,
    emptied,
    enlarged,
    inpainted_mask,
    masked_area,
    may_change,
    soft_mask,
)
from core.diffusion.sampling.compute.memory import is_out_of_memory
from core.diffusion.sampling.noise import initial_noise
from core.diffusion.sampling.vae import encode
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

KEPT = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What the VAE's encoder says of a picture: mean and std, each (1, C, h, w), not scaled; a tiny
    autoencoder knows no std, and nothing is drawn.
    """

    mean: torch.Tensor
    std: torch.Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Blend:
    """Inpainting with a plain model: after each step, outside the mask, the source's own latents
    with as much noise as the next step expects. Of `masks` there is one a call of the UNet, each
    (1, 1, h, w); the others are (1, C, h, w).

    Source: diffusers' StableDiffusionInpaintPipeline for a UNet of four channels.
    """

    masks: Sequence[torch.Tensor]
    source: torch.Tensor
    noise: torch.Tensor

    def apply(
        self, latents: torch.Tensor, scheduler: Any, next_timestep: torch.Tensor, call: int
    ) -> Any:
        """The latents after `call` calls. `next_timestep` (1,), or empty after the last step, when
        the source is clean.
        """
        kept, mask = self.source, self.masks[call - 1]
        if len(next_timestep):
            kept = scheduler.add_noise(self.source, self.noise, next_timestep)
        return (1 - mask) * kept + mask * latents


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """Only masked: what is made of an enlarged `area` of the source goes back into it, where
    `mask`, greyscale of the source's size, is white.

    Source: `padding_mask_crop` of diffusers' inpainting pipelines.
    """

    source: Image.Image
    mask: Image.Image
    area: Region

    def laid(self, picture: Image.Image) -> Image.Image:
        """The whole picture, RGB; where the mask is grey both are seen."""
        pictures: Any = VaeImageProcessor()
        return pictures.apply_overlay(self.mask, self.source, picture, self.area)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """What the loop starts from, (1, C, h, w), and the generator that drew it; how the source comes
    back after each step, and into the finished picture.
    """

    latents: torch.Tensor
    generator: torch.Generator
    blend: Blend | None = None
    overlay: Overlay | None = None


class SourceLatents:
    """Reads sources by their digest and encodes pictures. One model; not for several threads."""

    def __init__(self, model: LoadedModel, read: ReadInput | None) -> None:
        self._model = model
        self._read = read
        self._posteriors: OrderedDict[tuple[str, str, Region | None], Posterior] = OrderedDict()
        self._pictures = cast(Any, VaeImageProcessor(vae_scale_factor=model.info.vae_scale_factor))

    def initial_latents(
        self,
        settings: GenerationSettings,
        shape: tuple[int, int, int],
        scheduler: Any,
        first: int,
        timesteps: torch.Tensor,
    ) -> Beginning:
        """What the loop starts from at the scheduler's call `first`, (1, *shape): noise, or the
        source with the noise of the first of `timesteps`.
        """
        model = self._model
        if not settings.init_image:
            noise, generator = initial_noise(settings, shape)
            latents = noise.to(model.device, model.dtype) * scheduler.init_noise_sigma
            return Beginning(latents=latents, generator=generator)
        mask = self._mask(settings) if settings.mask_image else None
        overlay = None if mask is None else self._overlay(settings, mask)
        drawn_from = torch.Generator("cpu").manual_seed(settings.seed)
        area = overlay.area if overlay else None
        source = self.latents(settings, drawn_from, area)
        noise, generator = initial_noise(settings, shape, drawn_from)
        noise = noise.to(model.device, model.dtype)
        begin = Beginning(latents=source, generator=generator, overlay=overlay)
        if len(timesteps) == 0:
            return begin
        if mask is None:
            return replace(begin, latents=scheduler.add_noise(source, noise, timesteps[:1]))
        if settings.posterior == "sample" and self.posterior(settings, area).std is not None:
            # diffusers draws for the masked picture too, which only an inpainting model sees.
            torch.randn(noise.shape, generator=generator)
        # The layout in memory decides which kernels run: the last bits are diffusers' only so.
        source = source.contiguous()
        masks = self._masks(settings, mask, len(timesteps))
        begin = replace(begin, blend=Blend(masks=masks, source=source, noise=noise))
        if first == 0:  # its inpainting pipeline begins strength 1 with noise alone
            return replace(begin, latents=noise * scheduler.init_noise_sigma)
        return replace(begin, latents=scheduler.add_noise(source, noise, timesteps[:1]))

    @torch.no_grad()
    def latents(
        self,
        settings: GenerationSettings,
        generator: torch.Generator,
        area: Region | None = None,
    ) -> torch.Tensor:
        """The clean source, or an area of it enlarged, (1, C, h, w), scaled to unit variance. With
        the posterior "sample" it draws from `generator` first, as diffusers' pipeline does before
        it draws the noise.

        Raises InputError where it is gone, SettingsError where it does not fit these settings.
        """
        model = self._model
        if settings.posterior == "latents":
            array = self._array(settings, "init_image")
            factor = model.info.vae_scale_factor
            shape = (
                model.info.latent_channels,
                settings.height // factor,
                settings.width // factor,
            )
            if array.dtype != np.float32 or array.shape != shape:
                raise _misfit("init_image", "holds latents of another size or model")
            return torch.from_numpy(array)[None].to(model.device, model.dtype)
        posterior = self.posterior(settings, area)
        form = model_for(model, settings).info.latent_format
        if settings.posterior == "mean" or posterior.std is None:
            return form.from_vae(posterior.mean.to(model.dtype))
        # SDXL's VAE is float32 beside a UNet of half precision: its draw is too.
        draw = torch.randn(posterior.mean.shape, generator=generator).to(posterior.mean)
        latents = posterior.mean + posterior.std * draw
        return form.from_vae(latents.to(model.dtype))

    @torch.no_grad()
    def posterior(self, settings: GenerationSettings, area: Region | None = None) -> Posterior:
        """The encoder's word on the source picture or an area of it: computed once for each."""
        vae = wanted_vae(settings)
        name = (settings.init_image, vae.sha if vae else "", area)
        if name not in self._posteriors:
            array = self._picture(settings)
            array = array if area is None else enlarged(array, area)
            self._posteriors[name] = self.encode(array, vae)
            if len(self._posteriors) > KEPT:
                self._posteriors.popitem(last=False)
        self._posteriors.move_to_end(name)
        return self._posteriors[name]

    @torch.no_grad()
    def encode(self, picture: np.ndarray, vae: VaeFile | None = None) -> Posterior:
        """A prepared picture, uint8 (H, W, 3), through the encoder of the model's VAE, or of
        another.
        """
        model = with_vae(self._model, vae)
        pixels = self._pictures.preprocess(Image.fromarray(picture))  # (1, 3, H, W) in [-1, 1]
        try:
            mean, std = encode(model, pixels)
            return Posterior(mean=mean, std=std)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Outside that block, where the traceback holds no tensors any more.
        raise _misfit("init_image", "does not fit into the device's memory: choose a smaller size")

    def _masks(
        self, settings: GenerationSettings, mask: np.ndarray, calls: int
    ) -> Sequence[torch.Tensor]:
        """1 where the picture is inpainted, (1, 1, h, w) for each call: the mask's pixel at each
        latent's upper left, which is what diffusers' nearest interpolation takes.
        """
        factor = self._model.info.vae_scale_factor
        prepared = inpainted_mask(mask, settings)[::factor, ::factor]
        if settings.mask_mode == "differential":
            return [
                self._on_device(may_change(prepared, call, calls)) for call in range(1, calls + 1)
            ]
        return [self._on_device(prepared > 0)] * calls

    def _overlay(self, settings: GenerationSettings, mask: np.ndarray) -> Overlay | None:
        soft = soft_mask(mask, settings)
        area = masked_area(soft, settings)
        if area is None:
            return None
        if settings.mask_mode == "differential":
            # Its grey has said how far a place may change: laid back by it, it would count twice.
            soft = np.where(soft > 0, 255, 0).astype(np.uint8)
        source = Image.fromarray(self._picture(settings))
        return Overlay(source=source, mask=Image.fromarray(soft), area=area)

    def _mask(self, settings: GenerationSettings) -> np.ndarray:
        """The kept mask, uint8 (H, W). Raises SettingsError where it does not fit."""
        array = self._array(settings, "mask_image")
        if array.dtype != np.uint8 or array.shape != (settings.height, settings.width):
            raise _misfit(
                "mask_image",
                f"was prepared for another size than {settings.width} x {settings.height}",
            )
        if problem := emptied(array, settings):
            raise SettingsError([problem])
        return array

    def _picture(self, settings: GenerationSettings) -> np.ndarray:
        """The kept source, uint8 (H, W, 3). Raises SettingsError where it does not fit."""
        array = self._array(settings, "init_image")
        if array.dtype != np.uint8 or array.shape != (settings.height, settings.width, 3):
            raise _misfit(
                "init_image",
                f"was prepared for another size than {settings.width} x {settings.height}",
            )
        return array

    def _on_device(self, mask: np.ndarray) -> torch.Tensor:
        """bool (h, w) as (1, 1, h, w) of the model's kind."""
        white = torch.from_numpy(mask.astype(np.float32))
        return white[None, None].to(self._model.device, self._model.dtype)

    def _array(self, settings: GenerationSettings, field: str) -> np.ndarray:
        if self._read is None:
            raise InputError(
                "This engine was given no source pictures: Engine(model, inputs=store.inputs.read)."
            )
        return self._read(getattr(settings, field))


def _misfit(field: str, reason: str) -> SettingsError:
    return SettingsError([Problem(field=field, reason=reason)])
