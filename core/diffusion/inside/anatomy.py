"""What a run taken apart consists of. Plain data: imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from core.diffusion.settings import GenerationSettings

PlaceKind = Literal["start", "token", "end", "padding"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of the text encoder's input: a token's id, its text, its embedding's L2 norm."""

    position: int
    kind: PlaceKind
    id: int
    text: str
    norm: float


@dataclass(frozen=True, kw_only=True)
class EmbeddedPrompt:
    """A prompt as the UNet gets it: `places` (77 for CLIP), each a vector of `width` numbers.

    `cut_off` is the end of the prompt that had no place any more.
    """

    text: str
    width: int
    places: tuple[Place, ...]
    cut_off: str

    @property
    def tokens(self) -> tuple[Place, ...]:
        """The prompt's own tokens, without start, end and padding."""
        return tuple(place for place in self.places if place.kind == "token")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One image's whole way, every tensor kept: N UNet calls over latents (C, h, w), float32.

    `latents` (N + 1, C, h, w) as the scheduler holds them; `x_vp` (N, C, h, w) the same in
    variance-preserving coordinates, which is what the UNet is given. `pred_uncond`,
    `pred_cond`, `pred_perturbed` and `pred_guided` are what came of it, in the model's own
    prediction type: the first and the third None where no call has them, and zeros in the calls
    in which guidance does not act, by `guided`. `x0` is the clean picture that the guided one
    implies. `sigmas` has the noise level of every call and, last, the one that the run ends at.
    `x0_pictures` are the x0 decoded, a picture a call; none where that would take too long.
    `prompts` has each text of the prompt once, in its order, and `negatives` each of the
    negative one, none without guidance. `rows` counts the UNet's rows of each call.
    """

    settings: GenerationSettings
    prompts: tuple[EmbeddedPrompt, ...]
    negatives: tuple[EmbeddedPrompt, ...]
    rows: tuple[int, ...]
    noise: np.ndarray
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]
    latents: np.ndarray
    x_vp: np.ndarray
    pred_uncond: np.ndarray | None
    pred_cond: np.ndarray
    pred_perturbed: np.ndarray | None
    pred_guided: np.ndarray
    guided: tuple[bool, ...]
    x0: np.ndarray
    prediction_type: str
    scheduler_config: dict[str, Any]
    scaling_factor: float
    image: Image.Image
    x0_pictures: tuple[Image.Image, ...] = ()

    @property
    def calls(self) -> int:
        """How many times the UNet was called."""
        return len(self.timesteps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One UNet call with a guidance scale of the reader's choice; all (C, h, w), float32.

    `eps_uncond` is None where the run had no unconditional prediction.
    """

    eps_uncond: np.ndarray | None
    eps_cond: np.ndarray
    eps_guided: np.ndarray
    x0: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is different from UNet call `start` on (counted from 0), up to `end` (not included).

    None leaves a setting as it was. A change of scheduler holds to the end of the run.
    """

    start: int
    end: int | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Future:
    """Where a changed run went. `x0` (M, C, h, w) of its M calls, at the noise levels `sigmas`.

    The first `shared` calls are those of the unchanged run. `bridged` says that the new
    scheduler had no level where it took over, so that one plain step led to its next.
    """

    change: Change
    shared: int
    sigmas: tuple[float, ...]
    x0: np.ndarray
    latents: np.ndarray
    bridged: tuple[float, float] | None
    image: Image.Image


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionMaps:
    """Where each place of the prompt acted: `maps` (places, h, w) at latent size, float32.

    The conditional pass's softmax over all places, averaged over heads, layers and calls: at each
    pixel they sum to 1. `layers` x `calls` of them were averaged.
    """

    prompt: EmbeddedPrompt
    maps: np.ndarray
    layers: int
    calls: int
    image: Image.Image


@dataclass(frozen=True, kw_only=True, eq=False)
class WordEffect:
    """What one word does: the picture of the same noise by a `prompt` without it, and `on_x0`
    (calls, h, w), at latent size and in its units, how far the predicted x0 moves at each call.
    """

    word: str
    prompt: str
    image: Image.Image
    on_x0: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Effects:
    """The picture, and the effect of every word of its prompt but those `not_measured`.

    `calls` (from 0, of `total_calls`) are those at which `on_x0` was measured; `replacement` stands
    in the place of each word, "" where it was left out.
    """

    image: Image.Image
    words: tuple[WordEffect, ...]
    calls: tuple[int, ...]
    total_calls: int
    replacement: str
    not_measured: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class MadeMistake:
    """A mistake made on purpose and the same settings done right."""

    right: Image.Image
    wrong: Image.Image
    settings: GenerationSettings
