"""What the engine takes and gives: requests, events, finished images. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.diffusion.settings import GenerationSettings

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from core.diffusion.trajectory import Trajectory

Record = Literal["none", "norms", "latents"]
"""How much of a run is kept: nothing, the quantities of each step, or its tensors besides."""


@dataclass(frozen=True, kw_only=True)
class Computed:
    """How an image was computed: what may change its last bits beside the settings.

    `rows` is the most UNet rows of a call that it rode in; a strict image always has its own.
    """

    device: str
    dtype: str
    rows: int
    strict: bool
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Generation:
    """One finished image (RGB) with all that made it. `seconds` are its share of the batch's."""

    settings: GenerationSettings
    image: Image.Image
    seconds: float
    trajectory: Trajectory | None
    computed: Computed


@dataclass(frozen=True, kw_only=True)
class Request:
    """One image wanted. `strict` runs it alone, exactly as diffusers' own pipeline does;
    `is_valid` says that its settings were validated for this model, and need not be again.
    """

    key: str
    settings: GenerationSettings
    strict: bool = False
    record: Record = "norms"
    is_valid: bool = False


@dataclass(frozen=True, kw_only=True)
class Started:
    """The first step begins; `total` UNet calls are to come."""

    key: str
    total: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Stepped:
    """`step` of `total` UNet calls are done; `preview` is uint8 (h, w, 3) at latent size."""

    key: str
    step: int
    total: int
    preview: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The x0 that an image on its way was predicted to have after `step` of `total` UNet calls:
    a torch tensor (1, C, h, w), scaled as latents are; `overlay` lays its picture back into the
    source, where an area alone is inpainted; `vae` is the VaeFile that decodes it, None for the
    model's own.
    """

    latents: Any
    step: int
    total: int
    overlay: Any = None
    vae: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """The picture is there."""

    key: str
    generation: Generation


@dataclass(frozen=True, kw_only=True)
class Failed:
    """There will be no picture; `reason` is for the person who asked for it."""

    key: str
    reason: str


Event = Started | Stepped | Finished | Failed
