"""METHODS: the ways to move one noise towards another, a row each; and the chain of such moves.

A picture's noise is its seed's, changed by one `Variation` after another: so a picture knows its
parent (the same without the last change), and so does its file. Imports no torch: the functions
use what tensors bring.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

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


# Each takes the source's noise, the other's, and a strength, all of any equal shape that ends in
# (h, w), and returns noise of that shape. At strength 0 it is the source, bit for bit. The program
# that makes a picture without this app (core/output/programs) quotes them: each stands alone.


def slerp(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """Along the great circle from the source to the other; near-parallel noises are mixed
    in a straight line, where the sine in the denominator vanishes.

    Source: Shoemake, "Animating rotation with quaternion curves", 1985.
    """
    if strength == 0:
        return source
    if strength == 1:
        return other
    cosine = (source * other).sum() / (source.norm() * other.norm())
    if cosine.abs() > 0.9995:
        return (1 - strength) * source + strength * other
    angle = cosine.acos()
    near, far = ((1 - strength) * angle).sin(), (strength * angle).sin()
    return (near * source + far * other) / angle.sin()


def column_slerp(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """An arc of its own for each column of each channel: AUTOMATIC1111's variation seed.

    Source: the web UI's `modules/rng.py`, whose dot products run along the height of (C, h, w).
    The noises are the web UI's own where its random number source is set to CPU; else it draws
    them on the GPU, which gives others.
    Where the two noises are nearly one, it too goes straight, and from the other to the source.
    """
    unit_source = source / source.norm(dim=-2, keepdim=True)
    unit_other = other / other.norm(dim=-2, keepdim=True)
    cosine = (unit_source * unit_other).sum(dim=-2, keepdim=True)  # (..., 1, w)
    if cosine.mean() > 0.9995:
        return source * strength + other * (1 - strength)
    angle = cosine.acos()
    near, far = ((1.0 - strength) * angle).sin(), (strength * angle).sin()
    return (near / angle.sin()) * source + (far / angle.sin()) * other


def blend(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """Along the straight line between the two, then scaled to the source's norm."""
    mixed = (1 - strength) * source + strength * other
    return mixed * (source.norm() / mixed.norm())


def add_scaled(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """The other's noise on top, then scaled to the source's norm."""
    mixed = source + strength * other
    return mixed * (source.norm() / mixed.norm())


def add(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """The other's noise on top, and nothing to make up for it: the norm grows."""
    return source + strength * other


def rotate(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """A turn by 360 degrees times the strength, in the plane of the two, from the source on."""
    across = other - (source * other).sum() / (source * source).sum() * source
    if across.norm() < 1e-6 * source.norm():  # the same noise twice spans no plane
        return source
    across = across * (source.norm() / across.norm())
    angle = 2 * math.pi * strength
    return math.cos(angle) * source + math.sin(angle) * across


Mix = Callable[["torch.Tensor", "torch.Tensor", float], "torch.Tensor"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to vary. `formula` is LaTeX of source z, other n and strength s.

    `uses` names the setting that confines it to a part of the noise, "" for all of it. `as_slerp`
    gives the slerp's strength that points the same way, for two noises at right angles.
    """

    name: str
    label: str
    formula: str
    mix: Mix
    expect: str
    uses: str = ""
    as_slerp: Callable[[float], float] | None = None


def _table(*rows: Method) -> dict[str, Method]:
    return {row.name: row for row in rows}


METHODS: Mapping[str, Method] = _table(
    Method(
        name="slerp",
        label="Slerp",
        formula=r"\begin{gathered}"
        r"\frac{\sin((1-s)\,\theta)}{\sin\theta}\,z+\frac{\sin(s\,\theta)}{\sin\theta}\,n\\[8pt]"
        r"\cos\theta=\frac{z\cdot n}{\lVert z\rVert\,\lVert n\rVert}\end{gathered}",
        mix=slerp,
        expect="The arc from one noise to the other: it stays as strong as noise should be all the "
        "way. Small strengths keep the picture and change details.",
    ),
    Method(
        name="column_slerp",
        label="Slerp per column (A1111)",
        formula=r"\begin{gathered}"
        r"\frac{\sin((1-s)\,\theta_{cx})}{\sin\theta_{cx}}\,z_{c\cdot x}\\[8pt]"
        r"{}+\frac{\sin(s\,\theta_{cx})}{\sin\theta_{cx}}\,n_{c\cdot x}\end{gathered}",
        mix=column_slerp,
        expect="AUTOMATIC1111's variation seed, noise for noise where its random source is set to "
        "CPU: its arc is taken for each column by itself. Close to Slerp; take it to make a "
        "picture of the web UI again.",
    ),
    Method(
        name="blend",
        label="Blend and rescale",
        formula=r"\lVert z\rVert\,\frac{(1-s)\,z+s\,n}{\lVert (1-s)\,z+s\,n\rVert}",
        mix=blend,
        expect="The straight line, brought back to the source's norm. The same arc as Slerp at "
        "another pace: slower at both ends.",
        as_slerp=lambda s: 2 / math.pi * math.atan2(s, 1 - s),
    ),
    Method(
        name="add_scaled",
        label="Add and rescale",
        formula=r"\lVert z\rVert\,\frac{z+s\,n}{\lVert z+s\,n\rVert}",
        mix=add_scaled,
        expect="Noise on top of noise, brought back to the source's norm. It never leaves the "
        "source: strength 1 is halfway along the arc.",
        as_slerp=lambda s: 2 / math.pi * math.atan(s),
    ),
    Method(
        name="add",
        label="Add (what goes wrong)",
        formula=r"z+s\,n",
        mix=add,
        expect="Noise on top of noise and nothing else: the norm grows by about the root of "
        "1 + s². The sampler takes the surplus for picture: loud colours and grain.",
    ),
    Method(
        name="rotate",
        label="Rotate",
        formula=r"\begin{gathered}\cos(2\pi s)\,z+\sin(2\pi s)\,\lVert z\rVert\,"
        r"\frac{n_\perp}{\lVert n_\perp\rVert}\\[8pt]"
        r"n_\perp=n-\frac{z\cdot n}{z\cdot z}\,z\end{gathered}",
        mix=rotate,
        expect="A turn by an angle, 360° at strength 1, with the norm kept exactly. A quarter turn "
        "is another noise altogether, half a turn is the source's own negative.",
    ),
    Method(
        name="region",
        label="Slerp in a region",
        formula=r"\begin{gathered}z\ \text{outside the region}\\[8pt]"
        r"\operatorname{slerp}(z,n,s)\ \text{inside}\end{gathered}",
        mix=slerp,
        expect="Only what starts inside the box is other noise. The rest of the picture is held, "
        "though not frozen: the model looks at the whole.",
        uses="variation_region",
    ),
    Method(
        name="channel",
        label="Slerp in one channel",
        formula=r"\begin{gathered}z_c\ \text{for}\ c\neq k\\[8pt]"
        r"\operatorname{slerp}(z_k,n_k,s)\ \text{for channel}\ k\end{gathered}",
        mix=slerp,
        expect="One of the latent channels moves, the others stay. What a channel stands for "
        "(brightness, a colour) is for the model's own autoencoder to say.",
        uses="variation_channel",
    ),
)


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
