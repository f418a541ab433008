"""MISTAKES: one row a classical mistake, in words. Imports no torch; `mistakes` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A mistake: what was done, why it goes wrong, and the line of code that is missing or wrong.

    `changes` are settings that it needs to be seen: the scheduler that it happens with.
    """

    title: str
    why: str
    wrong: str
    right: str
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])


MISTAKES: Mapping[str, Mistake] = {
    "unscaled input": Mistake(
        title="Euler without scale_model_input",
        why="Euler's latents are x0 + sigma · noise, up to sigma times larger than the unit "
        "variance that the UNet has learned from: it gets inputs unlike any it was trained on.",
        wrong="unet(latents, t, prompt_embeds)",
        right="unet(scheduler.scale_model_input(latents, t), t, prompt_embeds)",
        changes={"scheduler": "Euler"},
    ),
    "unscaled": Mistake(
        title="The VAE's scaling factor forgotten",
        why="The UNet works on latents scaled to unit variance; the decoder wants the VAE's own, "
        "and without the division gets them several times too weak.",
        wrong="vae.decode(latents)",
        right="vae.decode(latents / vae.config.scaling_factor)",
    ),
    "shared": Mistake(
        title="One scheduler for two images",
        why="A multistep scheduler remembers its last predictions: the second image, of the same "
        "seed and prompt, starts with the predictions that the first one left in memory.",
        wrong="for x in (first, second): denoise(x, scheduler)",
        right="for x in (first, second): denoise(x, Scheduler.from_config(config))",
        changes={"scheduler": "PNDM"},
    ),
    "clipped": Mistake(
        title="clip_sample left on",
        why="Clipping the predicted x0 to [-1, 1] belongs to pixels; latents are larger than that, "
        "and what is beyond is cut off at every step.",
        wrong="DDIMScheduler(..., clip_sample=True)",
        right="DDIMScheduler(..., clip_sample=False)",
        changes={"scheduler": "DDIM"},
    ),
    "lerp": Mistake(
        title="Noise mixed in a straight line",
        why="The mean of two noises has 0.71 of their deviation: less noise than the UNet is told "
        "of, and so another picture. Slerp keeps the length.",
        wrong="noise = 0.5 * a + 0.5 * b",
        right="noise = slerp(a, b, 0.5)",
    ),
    "emptied": Mistake(
        title="Prompt dropped instead of truncated",
        why="A prompt beyond the encoder's 77 places is to be cut there; code that drops it whole "
        "gives the empty prompt, and guidance has nothing to point at.",
        wrong='prompt if fits(prompt) else ""',
        right="tokenizer(prompt, truncation=True, max_length=77)",
    ),
}
