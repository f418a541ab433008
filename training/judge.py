"""The judge: a small CNN that names object, style and background of a picture.

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

from training.autoencoder import to_tensor
from training.data import BACKGROUND_NAMES, NOUNS, STYLE_NAMES, Scene
from training.loop import Options

HEADS = {"object": len(NOUNS), "style": len(STYLE_NAMES), "background": len(BACKGROUND_NAMES)}


class Judge(nn.Module):
    """(B, 3, 64, 64) in -1..1 -> logits (B, 64), (B, 3), (B, 10)."""

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
    """The right answers (B,) of each head."""
    return {
        "object": torch.tensor([NOUNS.index(s.noun) for s in scenes]),
        "style": torch.tensor([STYLE_NAMES.index(s.style) for s in scenes]),
        "background": torch.tensor([BACKGROUND_NAMES.index(s.background) for s in scenes]),
    }


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
def accuracy(judge: Judge, pictures: np.ndarray, scenes: list[Scene]) -> dict[str, float]:
    """Share of right answers 0..1 of each head; `pictures` (N, 64, 64, 3) uint8."""
    device = next(judge.parameters()).device
    logits = judge(to_tensor(pictures).to(device))
    answers = truth(scenes)
    return {
        name: (logits[name].argmax(1).cpu() == answers[name]).float().mean().item()
        for name in HEADS
    }
