"""Stage clip: pictures and captions are drawn to one place, as in CLIP."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from training.data.captions import Caption, facts, random_caption
from training.data.scenes import Scene
from training.loop.loop import Options
from training.stages.autoencoder import to_tensor


def halve(pictures: np.ndarray) -> np.ndarray:
    """(N, 2S, 2S, 3) uint8 -> (N, S, S, 3) uint8, each pixel the mean of four."""
    count, side = pictures.shape[:2]
    half = np.empty((count, side // 2, side // 2, 3), np.uint8)
    for start in range(0, count, 500):
        part = np.asarray(pictures[start : start + 500]).astype(np.uint16)
        rows = part[:, ::2] + part[:, 1::2]
        half[start : start + 500] = (rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4
    return half


def clip_loss(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    pictures: np.ndarray,
    scenes: list[Scene],
    recipe: dict[str, Any],
    options: Options,
) -> Callable[[float], Tensor]:
    """Symmetric cross-entropy. All pictures of which a caption is true are its targets, not rivals,
    and so are all captions that are true of a picture."""
    rng = random.Random()

    def loss_of(progress: float) -> Tensor:
        rows = rng.sample(range(len(scenes)), recipe["batch"])
        captions = [_with_claims(rng, scenes[row]) for row in rows]
        texts = [caption.text for caption in captions]
        tokens = tokenizer(texts, padding=True, return_tensors="pt").to(options.device)
        pixels = to_tensor(pictures[rows]).to(options.device)
        with options.autocast():
            output = clip(input_ids=tokens.input_ids, pixel_values=pixels)
        text, picture = output.text_embeds.float(), output.image_embeds.float()
        logits = clip.logit_scale.exp().clamp(max=100) * picture @ text.T
        true = [[c.claims <= seen for c in captions] for seen in (facts(scenes[r]) for r in rows)]
        match = torch.tensor(true, device=options.device).float()  # (pictures, captions)
        to_texts, to_pictures = match / match.sum(1, keepdim=True), match.T / match.sum(0)[:, None]
        loss = F.cross_entropy(logits, to_texts) + F.cross_entropy(logits.T, to_pictures)
        return loss / 2

    return loss_of


def _with_claims(rng: random.Random, scene: Scene) -> Caption:
    """A caption that says something: the empty one is true of every picture."""
    while True:
        caption = random_caption(rng, scene)
        if caption.claims:
            return caption
