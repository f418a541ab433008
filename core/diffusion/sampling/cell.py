"""BatchCell: one image on its way through the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from core.diffusion.events import Record
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.sampling.source_latents import Blend
from core.diffusion.sampling.text_encoder import Conditioning
from core.diffusion.settings import GenerationSettings


@dataclass(eq=False)
class BatchCell:
    """One image on its way from noise to latents. Latents are (1, C, h, w).

    `timesteps` and `sigmas` are those of the calls that are run: image-to-image leaves the first
    of its scheduler's out, and where no step is left there are none. `generator` is the one that
    drew the initial noise; a scheduler that takes one finds it in `step_kwargs`.
    """

    settings: GenerationSettings
    strict: bool
    record: Record
    latents: torch.Tensor
    cond: torch.Tensor
    uncond: torch.Tensor | None
    scheduler: Any
    timesteps: torch.Tensor
    sigmas: list[float]
    step_kwargs: dict[str, Any]
    generator: torch.Generator
    loras: tuple[LoraFile, ...] = ()
    added: tuple[torch.Tensor, ...] = ()
    uncond_added: tuple[torch.Tensor, ...] = ()
    blend: Blend | None = None
    call: int = 0
    most_rows: int = 0
    failure: str = ""
    x0: torch.Tensor | None = None
    measured: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    all_x0: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    all_latents: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    @property
    def total_calls(self) -> int:
        """UNet calls of the whole run: PNDM makes n + 1 of n steps, Heun and DPM2 2n - 1."""
        return len(self.sigmas)

    @property
    def rows(self) -> int:
        return 1 if self.uncond is None else 2

    @property
    def is_done(self) -> bool:
        return self.call == self.total_calls

    def set_conditioning(self, given: Conditioning) -> None:
        """Condition the UNet by these prompts and this guidance from the next call on."""
        self.cond, self.uncond = given.cond, given.uncond
        self.added, self.uncond_added = given.added, given.uncond_added
