"""LoadedModel: the parts of a model in memory, ready to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.diffusion.models.families import TextEncoderRow
from core.diffusion.models.info import ModelInfo
from core.diffusion.recipe.schedulers import SCHEDULERS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model's parts on one device in one dtype, in evaluation mode.

    They are run under `torch.no_grad()`. That their weights could have gradients stays as diffusers
    leaves it: PyTorch multiplies matrices in another order where they cannot, and the pictures
    would not be those of a pipeline that somebody else loads. The VAE's dtype may be wider than
    `dtype`: see `placement.vae_dtype`. The second tokenizer and encoder are those of the SDXL
    families, None elsewhere.
    """

    info: ModelInfo
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    device: torch.device
    dtype: torch.dtype
    tokenizer_2: Any = None
    text_encoder_2: Any = None

    def text_encoders(self) -> Iterator[tuple[TextEncoderRow, Any, Any]]:
        """Yield each text encoder of the family: its row, its tokenizer and itself."""
        for row in self.info.family.text_encoders:
            yield row, getattr(self, row.tokenizer), getattr(self, row.encoder)

    def pipeline(self, scheduler: str | None = None, *, image_to_image: bool = False) -> Any:
        """Build diffusers' own pipeline of the family over these very parts, without a copy."""
        import diffusers

        family = self.info.family
        row = SCHEDULERS[scheduler or self.info.default_scheduler]
        parts: dict[str, Any] = {"unet": self.unet, "vae": self.vae}
        for names, tokenizer, encoder in self.text_encoders():
            parts |= {names.tokenizer: tokenizer, names.encoder: encoder}
        if family.base == "SDXL":
            parts["force_zeros_for_empty_prompt"] = self.info.zeroes_empty_negative
            parts["add_watermarker"] = False
        else:
            parts |= {"safety_checker": None, "feature_extractor": None}
            parts["requires_safety_checker"] = False
        name = family.image_to_image if image_to_image else family.text_to_image
        pipe = getattr(diffusers, name)(**parts, scheduler=row.build(self.info.scheduler_config))
        pipe.set_progress_bar_config(disable=True)
        return pipe
