"""FAMILIES: one row a family of models: how it is known, told of a prompt, and begun with.

A row says all that differs between the families that have a UNet over four latent channels. A
transformer with flow matching (SD3, Flux) would be rows of the same kind: its text encoders (a T5
is one more `TextEncoderRow`), its inputs (`Added` for its pooled text and guidance), its pipelines,
and a `LatentFormat` of sixteen channels with a shift. Where such a model stands in noise would be
one more `Prediction` of `sampling.prediction`, and the table of schedulers would get FlowMatch
rows, marked as usable by these families alone.

Reading the table imports neither torch nor diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.diffusion.models.errors import ModelError
from core.diffusion.models.latent_format import SD_LATENTS, SDXL_LATENTS, LatentFormat
from core.diffusion.recipe.guidance.methods import (
    GuidanceSettings,
    Row,
    rows_at_rest,
    rows_of_call,
)

Added = Literal["text_embeds", "time_ids", "timestep_cond"]
"""What a UNet is told beside latents, timestep and prompt: SDXL's pooled prompt (rows, width) and
its micro-conditioning (rows, 6), and the embedded guidance scale of LCM (rows, width)."""

Guidance = Literal["free", "embedded", "distilled"]
"""Classifier-free, of two rows; an input of the UNet, of one row (Luo et al. 2023, LCM, eq. 13);
or distilled away, so that it is off by default and wrong above 1."""


@dataclass(frozen=True, kw_only=True)
class TextEncoderRow:
    """One text encoder with its tokenizer, by their folders, and which of its states is read."""

    tokenizer: str
    encoder: str
    class_name: str
    hidden: Literal["last", "penultimate"] = "last"
    pooled: bool = False


ONE_ENCODER = (
    TextEncoderRow(tokenizer="tokenizer", encoder="text_encoder", class_name="CLIPTextModel"),
)
TWO_ENCODERS = (
    TextEncoderRow(
        tokenizer="tokenizer",
        encoder="text_encoder",
        class_name="CLIPTextModel",
        hidden="penultimate",
    ),
    TextEncoderRow(
        tokenizer="tokenizer_2",
        encoder="text_encoder_2",
        class_name="CLIPTextModelWithProjection",
        hidden="penultimate",
        pooled=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Configs:
    """What a family is recognised by: model_index.json and the parts' configurations."""

    index: Mapping[str, Any]
    unet: Mapping[str, Any]
    scheduler: Mapping[str, Any]

    @property
    def is_turbo(self) -> bool:
        """Return whether it is configured as both are published: trailing timesteps, latents of
        64 x 64, and the noise predicted from a schedule that ends with some signal left.
        """
        is_trailing = self.scheduler.get("timestep_spacing") == "trailing"
        is_other = self.is_v or self.scheduler.get("rescale_betas_zero_snr")
        return is_trailing and self.unet.get("sample_size") == 64 and not is_other

    @property
    def is_sd2(self) -> bool:
        """Stable Diffusion 2 projects in and out of its transformers linearly, 1 by convolution."""
        return bool(self.unet.get("use_linear_projection"))

    @property
    def is_v(self) -> bool:
        return self.scheduler.get("prediction_type") == "v_prediction"

    @property
    def has_embedded_guidance(self) -> bool:
        return bool(self.unet.get("time_cond_proj_dim"))


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family. `is_kind` is asked after its `base`'s pipelines fit, and the first row wins.

    `default_side` 0 is what the UNet's configuration says. `text_to_image` and `image_to_image`
    are the diffusers classes whose pixels strict mode gives. `configs` names the folder of
    published configurations that a single file of this family is read with ("" if it cannot be
    told from one).
    """

    name: str
    base: Literal["SD", "SDXL"]
    is_kind: Callable[[Configs], bool]
    text_encoders: tuple[TextEncoderRow, ...] = ONE_ENCODER
    added: tuple[Added, ...] = ()
    guidance: Guidance = "free"
    text_to_image: str = "StableDiffusionPipeline"
    image_to_image: str = "StableDiffusionImg2ImgPipeline"
    default_side: int = 0
    default_scheduler: str = "DPM++ 2M"
    default_num_inference_steps: int = 25
    default_guidance_scale: float = 7.5
    latent_format: LatentFormat = SD_LATENTS
    configs: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of a model in diffusers layout."""
        names = [name for row in self.text_encoders for name in (row.tokenizer, row.encoder)]
        return (*names, "unet", "vae", "scheduler")

    @property
    def weighed_parts(self) -> tuple[str, ...]:
        """The parts that have weights."""
        return (*(row.encoder for row in self.text_encoders), "unet", "vae")

    def rows_of_call(self, settings: GuidanceSettings) -> tuple[Row, ...]:
        """The UNet's predictions in a call in which guidance acts: one where it is embedded."""
        return ("cond",) if self.guidance == "embedded" else rows_of_call(settings)

    def rows_at_rest(self, settings: GuidanceSettings) -> tuple[Row, ...]:
        """The UNet's predictions in a call without guidance."""
        return ("cond",) if self.guidance == "embedded" else rows_at_rest(settings)

    def rows(self, settings: GuidanceSettings) -> int:
        """Count the most UNet rows of a call: one without guidance, two or three with it."""
        return len(self.rows_of_call(settings))


_XL: dict[str, Any] = {
    "base": "SDXL",
    "text_encoders": TWO_ENCODERS,
    "text_to_image": "StableDiffusionXLPipeline",
    "image_to_image": "StableDiffusionXLImg2ImgPipeline",
    "latent_format": SDXL_LATENTS,
}
_XL_ADDED: tuple[Added, ...] = ("text_embeds", "time_ids")
_LCM: dict[str, Any] = {
    "guidance": "embedded",
    "default_scheduler": "LCM",
    "default_num_inference_steps": 4,
    "default_guidance_scale": 8.0,
}
_TURBO: dict[str, Any] = {
    "guidance": "distilled",
    "default_side": 512,
    "default_guidance_scale": 1.0,
}


def _table(*rows: Family) -> dict[str, Family]:
    return {row.name: row for row in rows}


FAMILIES: Mapping[str, Family] = _table(
    Family(
        name="LCM of SDXL",
        is_kind=lambda configs: configs.has_embedded_guidance,
        added=(*_XL_ADDED, "timestep_cond"),
        **_XL,
        **_LCM,
    ),
    Family(
        name="SDXL-Turbo",
        is_kind=lambda configs: configs.is_turbo,
        added=_XL_ADDED,
        default_scheduler="Euler a",
        default_num_inference_steps=1,
        configs="sdxl-turbo",
        **_XL,
        **_TURBO,
    ),
    Family(
        name="SDXL",
        is_kind=lambda configs: True,
        added=_XL_ADDED,
        default_num_inference_steps=30,
        default_guidance_scale=5.0,
        configs="sdxl",
        **_XL,
    ),
    Family(
        name="LCM of SD 1.x",
        base="SD",
        is_kind=lambda configs: configs.has_embedded_guidance,
        added=("timestep_cond",),
        **_LCM,
    ),
    Family(
        name="SD-Turbo",
        base="SD",
        is_kind=lambda configs: configs.is_sd2 and configs.is_turbo,
        default_scheduler="Euler",
        default_num_inference_steps=1,
        configs="sd-turbo",
        **_TURBO,
    ),
    Family(
        name="SD 2.x (v-prediction)",
        base="SD",
        is_kind=lambda configs: configs.is_sd2 and configs.is_v,
        configs="sd2-v",
    ),
    Family(
        name="SD 2.x",
        base="SD",
        is_kind=lambda configs: configs.is_sd2,
        configs="sd2",
    ),
    Family(name="SD 1.x", base="SD", is_kind=lambda configs: True, configs="sd1"),
)


def supported() -> str:
    """The families for a message."""
    return ", ".join(sorted(FAMILIES))


def unsupported(name: str, what: str) -> ModelError:
    """The error that says what the model `name` is instead."""
    return ModelError(
        f"{name} is {what}, which this version does not run. It runs {supported()}: choose a "
        "model of one of these."
    )
