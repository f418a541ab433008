"""Where the embeddings of new words begin: at those of words that look the same.

A new name of a known object begins at that object's usual name. A new object begins at the known
object whose pictures the CLIP finds most alike, so that the UNet starts from a near miss.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from training.autoencoder import to_tensor
from training.contrastive import halve
from training.data import NOUNS, Scene
from training.vocabulary import FILLER, FIRST, NAMES

APART = 0.5  # noise around the beginning, in standard deviations of the known rows


@torch.no_grad()
def begin_near_lookalikes(
    clip: CLIPModel, tokenizer: CLIPTokenizer, pictures: np.ndarray, scenes: list[Scene]
) -> None:
    """Set the rows of words that version 1 did not know; `pictures` (N, 128, 128, 3) uint8."""
    rows = clip.text_model.embeddings.token_embedding.weight
    known = _words(tokenizer, [*FIRST, "a", "on", "style", "background", "emoji", "small", "large"])
    near = _lookalikes(clip, pictures, scenes)
    places: dict[int, list[Tensor]] = defaultdict(list)
    for noun, names in NAMES.items():
        beginning = rows[_words(tokenizer, [near[noun]])].mean(0)
        for token in set(_words(tokenizer, list(names))) - set(known):
            places[token].append(beginning)
    plain = rows[_words(tokenizer, ["a", "on", "emoji"])].mean(0)
    for phrases in FILLER.values():
        for token in set(_words(tokenizer, phrases)) - set(known) - places.keys():
            places[token].append(plain)
    spread = rows[known].std(0) * APART
    generator = torch.Generator().manual_seed(1)
    for token, beginnings in sorted(places.items()):
        noise = torch.randn(len(plain), generator=generator)
        rows[token] = torch.stack(beginnings).mean(0) + noise * spread


def _words(tokenizer: CLIPTokenizer, texts: list[str]) -> list[int]:
    """The ids of the texts' tokens, without the ends."""
    return [token for text in texts for token in tokenizer(text).input_ids[1:-1]]


def _lookalikes(clip: CLIPModel, pictures: np.ndarray, scenes: list[Scene]) -> dict[str, str]:
    """Each object -> the object of version 1 with the nearest mean picture embedding."""
    means: list[Tensor] = []
    for noun in NOUNS:
        shown = [i for i, scene in enumerate(scenes) if scene.nouns == (noun,)][:12]
        pixels = to_tensor(halve(pictures[shown]))
        embedded = clip.get_image_features(pixel_values=pixels).pooler_output
        means.append(F.normalize(embedded, dim=-1).mean(0))
    vectors = F.normalize(torch.stack(means), dim=-1)  # (objects, projection_dim)
    first = [NOUNS.index(noun) for noun in FIRST]
    nearest = (vectors @ vectors[first].T).argmax(1).tolist()
    print({new: FIRST[i] for new, i in zip(NOUNS, nearest, strict=True) if new not in FIRST})
    near = dict(zip(NOUNS, (FIRST[i] for i in nearest), strict=True))
    return near | {noun: noun for noun in FIRST}
