"""DDIM inversion: a picture to the noise that DDIM would make it from, and back from that noise.

Song et al. 2021 (DDIM, arXiv:2010.02502), sec. 4.3: DDIM without noise of its own is Euler's method
for an ODE, which can be run backwards. A step backwards takes the prediction at the latents where
it begins for that where it ends, so the way back is not quite the same; above guidance 1 it follows
another ODE altogether (Mokady et al. 2023, arXiv:2211.09794, sec. 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from core.diffusion.inside.inversion_walk import Walk, Way
from core.diffusion.inside.unrolled import as_array
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.images import ReadInput
from core.diffusion.settings import GenerationSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Inversion:
    """A source inverted and made again, by `num_inference_steps` of `settings`.

    `latents` (N + 1, C, h, w) go from the source to the noise, before the UNet's calls at
    `timesteps`; `noise` (C, h, w) is the last of them. `vae` is what the decoder makes of the
    source's latents, to which all is compared; `unguided`, `guided` and `edited` are what comes
    back from the noise: at guidance 1, at the guidance of `settings`, and there with another prompt
    (None where none was given).
    """

    settings: GenerationSettings
    timesteps: tuple[int, ...]
    latents: np.ndarray
    noise: np.ndarray
    vae: Image.Image
    unguided: Image.Image
    guided: Image.Image
    edited: Image.Image | None
    error: InversionError


@dataclass(frozen=True, kw_only=True)
class InversionError:
    """How far what comes back is from the source, after so many steps there and as many back.

    RMS of the latents' difference, in units of the latents (about unit variance), and PSNR in dB
    of the decoded pictures, of 8 bits, against the source's own latents decoded: infinite where
    every pixel is the same.
    """

    steps: int
    rms_unguided: float
    rms_guided: float
    psnr_unguided: float
    psnr_guided: float


def invert(
    model: LoadedModel, settings: GenerationSettings, read: ReadInput, edit: str = ""
) -> Generator[tuple[int, int], None, Inversion]:
    """Invert the source of `settings` with their prompt at guidance 1, and make it again.

    Scheduler, strength, mask, seed and method of guidance have no part in it. Raises SettingsError
    for settings that cannot run and for a model that DDIM inversion is not for; InputError for a
    source that is not there.
    """
    walk, steps = Walk(model, settings, read), settings.num_inference_steps
    ways = [walk.way(1.0), walk.way(settings.guidance_scale)]
    if edit.strip():
        ways.append(walk.way(settings.guidance_scale, edit))
    (latents, timesteps), made = yield from _there_and_back(walk, ways, steps, 0, 2 * steps)
    vae, *pictures = map(walk.picture, [walk.source, *made])
    return Inversion(
        settings=settings,
        timesteps=tuple(timesteps),
        latents=as_array(latents),
        noise=as_array(latents[-1:])[0],
        vae=vae,
        unguided=pictures[0],
        guided=pictures[1],
        edited=pictures[2] if len(pictures) > 2 else None,
        error=_error(walk, steps, made, vae, pictures),
    )


def inversion_steps(
    model: LoadedModel, settings: GenerationSettings, read: ReadInput, edit: str = ""
) -> Generator[tuple[int, int], None, tuple[np.ndarray, list[np.ndarray]]]:
    """The latents of the whole way of `invert`: (N + 1, C, h, w) from the source to the noise, and
    (N, C, h, w) for each way back: at guidance 1, above it at that of `settings`, and there with
    another prompt, where one is given. Raises what `invert` raises.
    """
    walk, steps = Walk(model, settings, read), settings.num_inference_steps
    ways = [walk.way(1.0)]
    if settings.guidance_scale > 1:
        ways.append(walk.way(settings.guidance_scale))
    if edit.strip():
        ways.append(walk.way(settings.guidance_scale, edit))
    there, _ = yield from _counted(walk.there(ways[0], steps), 0, 2 * steps)
    back: list[list[torch.Tensor]] = [[] for _ in ways]
    for done, latents in enumerate(walk.back(ways, there[-1], steps), start=steps + 1):
        for way, one in zip(back, latents, strict=True):
            way.append(one)
        yield done, 2 * steps
    return as_array(there), [as_array(way) for way in back]


def inversion_errors(
    model: LoadedModel, settings: GenerationSettings, read: ReadInput, steps: Sequence[int]
) -> Generator[tuple[int, int], None, list[InversionError]]:
    """The error of `invert` for each of these numbers of steps. Raises what it raises."""
    walk = Walk(model, settings, read)
    ways = [walk.way(1.0), walk.way(settings.guidance_scale)]
    vae = walk.picture(walk.source)
    found: list[InversionError] = []
    done, total = 0, 2 * sum(steps)
    for number in steps:
        _, made = yield from _there_and_back(walk, ways, number, done, total)
        done += 2 * number
        found.append(_error(walk, number, made, vae, list(map(walk.picture, made))))
    return found


_T = TypeVar("_T")
_Found = tuple[tuple[list[Any], list[int]], list[torch.Tensor]]


def _there_and_back(
    walk: Walk, ways: Sequence[Way], steps: int, done: int, total: int
) -> Generator[tuple[int, int], None, _Found]:
    """To the noise on the first of these ways, and from it on each."""
    there = yield from _counted(walk.there(ways[0], steps), done, total)
    made = yield from _counted(walk.back(ways, there[0][-1], steps), done + steps, total)
    return there, made


def _counted(
    work: Generator[Any, None, _T], done: int, total: int
) -> Generator[tuple[int, int], None, _T]:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
        done += 1
        yield done, total


def _error(
    walk: Walk,
    steps: int,
    made: Sequence[torch.Tensor],
    vae: Image.Image,
    pictures: Sequence[Image.Image],
) -> InversionError:
    rms = [float((one - walk.source).square().mean().sqrt()) for one in made]
    psnr = [_psnr(one, vae) for one in pictures]
    return InversionError(
        steps=steps,
        rms_unguided=rms[0],
        rms_guided=rms[1],
        psnr_unguided=psnr[0],
        psnr_guided=psnr[1],
    )


def _psnr(one: Image.Image, other: Image.Image) -> float:
    mse = float(np.square(np.asarray(one, float) - np.asarray(other, float)).mean())
    return 10 * math.log10(255**2 / mse) if mse > 0 else math.inf
