"""The judge: a small CNN that names the objects, style and background of a picture.

It is trained apart from the CLIP, on training scenes and their VAE reconstructions, so that it
can tell from outside whether a generated picture shows what its prompt asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.data.scenes import BACKGROUND_NAMES, NOUNS, STYLE_NAMES, Scene
from training.loop.loop import Options
from training.stages.autoencoder import to_tensor

HEADS = {
    "object": len(NOUNS),  # of two objects each has probability 1/2
    "first": len(NOUNS),  # the only one, the left one or the upper one
    "style": len(STYLE_NAMES),
    "background": len(BACKGROUND_NAMES),
}


class Judge(nn.Module):
    """(B, 3, 64, 64) in -1..1 -> logits (B, size) of each head."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in channels:
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
            ]
            before = width
        self.body = nn.Sequential(*layers)
        self.neck = nn.Linear(before * 16, 256)  # the places of a 4 x 4 grid are kept
        self.heads = nn.ModuleDict({name: nn.Linear(256, size) for name, size in HEADS.items()})

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        features = F.silu(self.neck(self.body(pixels).flatten(1)))
        return {name: head(features) for name, head in self.heads.items()}


def truth(scenes: list[Scene]) -> dict[str, Tensor]:
    """The right probabilities (B, size) of each head."""
    objects = torch.zeros(len(scenes), len(NOUNS))
    for row, scene in enumerate(scenes):
        for noun in scene.nouns:
            objects[row, NOUNS.index(noun)] = 1 / len(scene.items)
    answers = {
        "first": [NOUNS.index(s.nouns[0]) for s in scenes],
        "style": [STYLE_NAMES.index(s.style) for s in scenes],
        "background": [BACKGROUND_NAMES.index(s.background) for s in scenes],
    }
    certain = {name: F.one_hot(torch.tensor(a), HEADS[name]).float() for name, a in answers.items()}
    return {"object": objects} | certain


def augment(pixels: Tensor, rng: random.Random) -> Tensor:
    """Blur, noise and a shift of brightness and place: none of them is an answer's cue."""
    if rng.random() < 0.5:
        blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
        share = torch.rand(len(pixels), 1, 1, 1, device=pixels.device)
        pixels = torch.lerp(pixels, blurred, share)
    pixels = pixels + torch.randn_like(pixels) * 0.08 * rng.random()
    pixels = pixels + 0.04 * torch.randn(len(pixels), 1, 1, 1, device=pixels.device)
    shift = (rng.randint(-3, 3), rng.randint(-3, 3))
    return torch.roll(pixels, shift, (2, 3)).clamp(-1, 1)


def judge_loss(
    judge: Judge,
    pictures: np.ndarray,
    scenes: list[Scene],
    recipe: dict[str, Any],
    options: Options,
) -> Callable[[float], Tensor]:
    """`pictures` (N, 64, 64, 3) uint8; row i shows scenes[i]."""
    rng = random.Random()
    answers = truth(scenes)

    def loss_of(progress: float) -> Tensor:
        rows = [rng.randrange(len(scenes)) for _ in range(recipe["batch"])]
        pixels = augment(to_tensor(pictures[rows]).to(options.device), rng)
        with options.autocast():
            logits = judge(pixels)
        return sum(
            F.cross_entropy(logits[name].float(), answers[name][rows].to(options.device))
            for name in HEADS
        )

    return loss_of


@torch.no_grad()
def guesses(judge: Judge, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """(N, size) class indices of each head, the likeliest first, of (N, 64, 64, 3) uint8."""
    device = next(judge.parameters()).device
    parts = [
        judge(to_tensor(pictures[start : start + 100]).to(device))
        for start in range(0, len(pictures), 100)
    ]
    return {
        name: torch.cat([part[name] for part in parts]).argsort(1, descending=True).cpu().numpy()
        for name in HEADS
    }
