"""BatchCell: one image on its way through the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from core.diffusion.events import Record
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.recipe.guidance.methods import Row
from core.diffusion.sampling.source_latents import Blend
from core.diffusion.settings import GenerationSettings


@dataclass(eq=False)
class BatchCell:
    """One image on its way from noise to latents. Latents are (1, C, h, w).

    `timesteps` and `sigmas` are those of the calls that are run: image-to-image leaves the first
    of its scheduler's out, and where no step is left there are none. `guided` says for each of
    them whether guidance acts: the call then has `rows_of_call`, else the prompt's row alone.
    `generator` is the one that drew the initial noise; a scheduler that takes one finds it in
    `step_kwargs`.
    `carried` is what guidance remembers of the calls before.
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
    rows_of_call: tuple[Row, ...]
    guided: list[bool]
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
    carried: torch.Tensor | None = None
    measured: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    had_uncond: list[bool] = field(default_factory=list[bool])
    all_x0: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    all_latents: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    @property
    def total_calls(self) -> int:
        """UNet calls of the whole run: PNDM makes n + 1 of n steps, Heun and DPM2 2n - 1."""
        return len(self.sigmas)

    @property
    def rows(self) -> int:
        """The most UNet rows of a call."""
        return len(self.rows_of_call) if any(self.guided) else 1

    def rows_at(self, call: int) -> tuple[Row, ...]:
        """The UNet rows of a call."""
        return self.rows_of_call if self.guided[call] else ("cond",)

    @property
    def last_rows(self) -> int:
        """UNet rows of the call that was last, or comes first."""
        return len(self.rows_at(max(self.call - 1, 0))) if self.guided else 1

    def given(self, row: Row) -> tuple[torch.Tensor, ...]:
        """What the UNet is told in a row: (1, tokens, width), and what its family adds."""
        if row == "uncond" and self.uncond is not None:
            return (self.uncond, *self.uncond_added)
        return (self.cond, *self.added)

    def perturbed(self, row: Row) -> str:
        """The layers of the UNet whose self-attention is perturbed in a row."""
        return self.settings.pag_layers if row == "perturbed" else ""

    @property
    def is_done(self) -> bool:
        return self.call == self.total_calls
