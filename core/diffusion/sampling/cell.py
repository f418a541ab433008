"""BatchCell: one image on its way through the batch; and Rider: a request that waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from core.diffusion.events import Record, Request
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.models.vae.files import VaeFile
from core.diffusion.recipe.guidance.methods import Row, guided_calls
from core.diffusion.sampling.compute.perturbed import perturbed_layers
from core.diffusion.sampling.guidance import Said, composed
from core.diffusion.sampling.source_latents import Blend, Overlay
from core.diffusion.sampling.text_encoder import Conditioning, Told
from core.diffusion.settings import GenerationSettings, Problem, SettingsError


@dataclass(eq=False)
class BatchCell:
    """One image on its way from noise to latents. Latents are (1, C, h, w).

    `timesteps` and `sigmas` are those of the calls that are run: image-to-image leaves the first
    of its scheduler's out, and where no step is left there are none. `guided` says for each of
    them whether guidance acts: the call then has `rows_of_call`, else `rows_at_rest`; and
    `conditions` what the UNet is told.
    `generator` is the one that drew the initial noise; a scheduler that takes one finds it in
    `step_kwargs`.
    `carried` is what guidance remembers of the calls before.
    """

    settings: GenerationSettings
    strict: bool
    record: Record
    latents: torch.Tensor
    conditions: list[Conditioning]
    scheduler: Any
    timesteps: torch.Tensor
    sigmas: list[float]
    rows_of_call: tuple[Row, ...]
    rows_at_rest: tuple[Row, ...]
    guided: list[bool]
    step_kwargs: dict[str, Any]
    generator: torch.Generator
    loras: tuple[LoraFile, ...] = ()
    blend: Blend | None = None
    overlay: Overlay | None = None
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
        return len(self.rows_of_call if any(self.guided) else self.rows_at_rest)

    def rows_at(self, call: int) -> tuple[Row, ...]:
        """The UNet rows of a call."""
        return self.rows_of_call if self.guided[call] else self.rows_at_rest

    @property
    def last_rows(self) -> int:
        """UNet rows of the call that was last, or comes first."""
        return len(self.rows_at(max(self.call - 1, 0))) if self.guided else 1

    @property
    def condition(self) -> Conditioning:
        """What the UNet is told in the call that comes next, or was last."""
        return self.conditions[min(self.call, len(self.conditions) - 1)]

    def told(self, row: Row) -> tuple[Told, ...]:
        """What the UNet is told in the rows of a kind of the call that comes next."""
        if row not in self.rows_at(self.call):
            return ()
        if row == "uncond":
            return () if self.condition.uncond is None else (self.condition.uncond,)
        return self.condition.conds

    def said(self, found: Mapping[Row, Sequence[torch.Tensor]]) -> Said:
        """What the UNet has predicted in the rows of a call, (1, C, h, w) each, by their kinds."""
        uncond, perturbed = (
            found[kind][0] if kind in found else None for kind in ("uncond", "perturbed")
        )
        return Said(
            call=self.call,
            is_guided=any(self.guided),
            cond=composed(found["cond"], self.condition.weights, uncond),
            uncond=uncond if self.guided[self.call] else None,
            perturbed=perturbed,
            carried=self.carried,
        )

    def perturbed(self, row: Row) -> str:
        """The layers of the UNet whose self-attention is perturbed in a row."""
        return self.settings.pag_layers if row == "perturbed" else ""

    @property
    def is_done(self) -> bool:
        return self.call == self.total_calls


@dataclass(eq=False)
class Rider:
    """One request; snapshots of one run and pictures by several VAEs share its cell."""

    request: Request
    cell: BatchCell
    vae: VaeFile | None = None
    """What decodes its picture, None for the model's own."""
    seconds: float = 0.0
    """Its share of the computing so far: of each UNet call, its rows over all rows."""
    is_announced: bool = False

    @property
    def total(self) -> int:
        """The UNet call after which this request has its picture."""
        return self.request.settings.snapshot or self.cell.total_calls


def guidance_rows(
    model: LoadedModel, settings: GenerationSettings, calls: int
) -> tuple[tuple[Row, ...], tuple[Row, ...], list[bool]]:
    """The UNet's rows of a guided call and of another, and of each call whether it is guided.

    Raises SettingsError where the model's UNet has not what the method perturbs.
    """
    family, layers = model.info.family, settings.pag_layers
    rows = family.rows_of_call(settings)
    if "perturbed" in rows and not perturbed_layers(model.unet, layers):
        reason = f"needs self-attention in the {layers} blocks of the UNet: this model has none"
        raise SettingsError([Problem(field="guidance_method", reason=reason)])
    acts = range(0) if family.guidance == "embedded" else guided_calls(settings, calls)
    return rows, family.rows_at_rest(settings), [call in acts for call in range(calls)]
