"""METHODS: the ways to move one noise towards another, a row each. Imports no torch.

The functions use what tensors bring, and each stands alone: the program that makes a picture
without this app (core/output/programs) quotes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


# Each takes the source's noise, the other's, and a strength, all of any equal shape that ends in
# (h, w), and returns noise of that shape. At strength 0 it is the source, bit for bit.


def slerp(source: torch.Tensor, other: torch.Tensor, strength: float) -> torch.Tensor:
    """Move along the great circle from the source to the other; near-parallel noises are mixed in a
    straight line, where the sine in the denominator vanishes.

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
    """Move along the straight line between the two, then scale to the source's norm."""
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
        expect="Noise on top of noise and nothing else: the norm grows by about the root of 1 + "
        "s². The surplus stays in the picture, as grain and clipped colours.",
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
        "(brightness, a colour) depends on the model's autoencoder.",
        uses="variation_channel",
    ),
)
