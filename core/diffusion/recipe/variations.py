"""Variations: a noise changed by one after another, and how such a chain is written.

So a picture knows its parent (the same without the last change), and so does its file. Imports no
torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from core.diffusion.recipe.noise_methods import METHODS

if TYPE_CHECKING:
    import torch

MAX_LINKS = 64
"""Changes one after another."""


class VariationError(ValueError):
    """A region or a chain of variations that cannot be read; the message says how it is written."""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """One change of the noise: towards the noise of `seed`, by `strength` in (0, 1].

    `region` is "left,top,right,bottom" in pixels; it and `channel` act in methods that use them.
    """

    seed: int
    strength: float
    method: str
    region: str = ""
    channel: int = 0

    def __str__(self) -> str:
        """One word, "method:seed:strength" and what else the method needs: read by `read_chain`."""
        uses = METHODS[self.method].uses
        extra = f":{getattr(self, uses.removeprefix('variation_'))}" if uses else ""
        return f"{self.method}:{self.seed}:{self.strength!r}{extra}"


def vary(
    source: torch.Tensor, other: torch.Tensor, variation: Variation, pixels: int
) -> torch.Tensor:
    """The source's noise (1, C, h, w) after one variation; `pixels` a side stand in one latent.

    Raises VariationError for a region that lies outside and a channel that there is not.
    """
    method = METHODS[variation.method]
    part = part_of(variation, tuple(source.shape[1:]), pixels)
    if part is None:
        return method.mix(source, other, variation.strength)
    noise = source.clone()
    noise[part] = method.mix(source[part], other[part], variation.strength)
    return noise


def part_of(
    variation: Variation, shape: tuple[int, ...], pixels: int
) -> tuple[slice, slice, slice, slice] | None:
    """The part of a noise (1, C, h, w) that changes, None for all of it; `shape` is (C, h, w).

    A region takes every latent that it touches. Raises VariationError.
    """
    channels, height, width = shape
    whole = slice(None)
    uses = METHODS[variation.method].uses
    if uses == "variation_channel":
        if variation.channel >= channels:
            raise VariationError(
                f"channel {variation.channel} is none of this model's {channels}, which count "
                "from 0"
            )
        return whole, slice(variation.channel, variation.channel + 1), whole, whole
    if uses == "variation_region":
        left, top, right, bottom = read_region(
            variation.region, width=width * pixels, height=height * pixels
        )
        rows = slice(top // pixels, -(-bottom // pixels))
        return whole, whole, rows, slice(left // pixels, -(-right // pixels))
    return None


_REGION = re.compile(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", re.ASCII)


def read_region(text: str, *, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels of a picture of that size. Raises VariationError."""
    match = _REGION.fullmatch(text)
    if match is None:
        raise VariationError(
            f"{text!r} is no region: write left,top,right,bottom in pixels, such as 32,32,96,96"
        )
    left, top, right, bottom = (int(number) for number in match.groups())
    if not (left < right <= width and top < bottom <= height):
        raise VariationError(
            f"{text} does not lie in the picture of {width} x {height} pixels: left before right, "
            "top before bottom"
        )
    return left, top, right, bottom


def read_chain(text: str) -> tuple[Variation, ...]:
    """Variations from words such as "slerp:7:0.2 channel:9:0.5:3". Raises VariationError."""
    words = text.split()
    if len(words) > MAX_LINKS:
        raise VariationError(f"has {len(words)} variations: up to {MAX_LINKS} are kept")
    return tuple(_read_link(word) for word in words)


def _read_link(word: str) -> Variation:
    name, *rest = word.split(":")
    method = METHODS.get(name)
    if method is None or len(rest) != (3 if method.uses else 2):
        raise VariationError(f"{word!r} is no variation such as slerp:7:0.2")
    try:
        seed, strength = int(rest[0]), float(rest[1])
        extra = {method.uses.removeprefix("variation_"): rest[2]} if method.uses else {}
        channel = int(extra.get("channel", 0))
    except ValueError:
        raise VariationError(f"{word!r} is no variation such as slerp:7:0.2") from None
    if not 0 < strength <= 1:
        raise VariationError(f"{word!r}: the strength is outside 0 to 1")
    if not 0 <= seed < 2**32 or channel < 0:
        raise VariationError(f"{word!r}: the seed or the channel is out of range")
    return Variation(
        seed=seed,
        strength=strength,
        method=name,
        region=extra.get("region", ""),
        channel=channel,
    )


def chain_text(chain: Sequence[Variation]) -> str:
    """What `read_chain` reads."""
    return " ".join(map(str, chain))


class NoiseSettings(Protocol):
    """A frozen dataclass with the settings of the noise; `GenerationSettings` is one."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def variation_seed(self) -> int: ...
    @property
    def variation_strength(self) -> float: ...
    @property
    def variation_method(self) -> str: ...
    @property
    def variation_region(self) -> str: ...
    @property
    def variation_channel(self) -> int: ...
    @property
    def variation_chain(self) -> str: ...


Noise = TypeVar("Noise", bound=NoiseSettings)


def variations_of(settings: NoiseSettings) -> tuple[Variation, ...]:
    """Every change of the seed's noise, in order. Raises VariationError for a broken chain."""
    chain = read_chain(settings.variation_chain)
    if settings.variation_strength == 0:
        return chain
    last = Variation(
        seed=settings.variation_seed,
        strength=settings.variation_strength,
        method=settings.variation_method,
        region=settings.variation_region,
        channel=settings.variation_channel,
    )
    return (*chain, last)


def with_variations(settings: Noise, variations: Sequence[Variation]) -> Noise:
    """The settings with these changes of the noise and no others."""
    *chain, last = variations or (Variation(seed=0, strength=0.0, method="slerp"),)
    return replace(
        settings,
        variation_chain=chain_text(chain),
        variation_seed=last.seed,
        variation_strength=last.strength,
        variation_method=last.method,
        variation_region=last.region,
        variation_channel=last.channel,
    )


def parent_of(settings: Noise) -> Noise | None:
    """The picture that this one varies: the same without its last variation; None for a root.

    Raises VariationError.
    """
    variations = variations_of(settings)
    return with_variations(settings, variations[:-1]) if variations else None


def ready_to_vary(settings: Noise) -> Noise:
    """The same picture with all its variations in the chain: one more can be set.

    As it stands its digest is the picture's own. Raises VariationError.
    """
    chain = chain_text(variations_of(settings))
    return replace(with_variations(settings, ()), variation_chain=chain)
