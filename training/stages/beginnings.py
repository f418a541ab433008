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

from training.data.scenes import NOUNS, Scene
from training.data.vocabulary import BACKGROUNDS, FILLER, FIRST, NAMES, STYLES
from training.stages.autoencoder import to_tensor
from training.stages.contrastive import halve

APART = 0.5  # noise around the beginning, in standard deviations of the known rows
PLAIN = ("a", "on", "emoji")  # words that filler begins at
GRAMMAR = ("an", "of", ",", "style background small large")  # the other words of every caption
SHOWN = 12  # pictures of each object that are compared
Shipped = dict[str, list[str]]  # the objects that the shipped model draws -> their other names


@torch.no_grad()
def begin_near_lookalikes(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    pictures: np.ndarray,
    scenes: list[Scene],
    shipped: Shipped | None,
) -> None:
    """Set the rows of words that `clip` does not know; `pictures` (N, 128, 128, 3) uint8.

    `shipped` is None for version 1, which knew each of its objects by the usual name alone, and
    no filler.
    """
    rows = clip.text_model.embeddings.token_embedding.weight
    objects = list(FIRST if shipped is None else shipped)
    names = [name for others in (shipped or {}).values() for name in others]
    basis = known_tokens(tokenizer, [*objects, *names])
    near = _lookalikes(clip, pictures, scenes, [noun for noun in objects if noun in NOUNS])
    places: dict[int, list[Tensor]] = defaultdict(list)
    for noun, all_of in NAMES.items():
        beginning = rows[_words(tokenizer, [near[noun]])].mean(0)
        for token in set(_words(tokenizer, list(all_of))) - basis:
            places[token].append(beginning)
    if shipped is None:
        plain = rows[_words(tokenizer, list(PLAIN))].mean(0)
        filler = [text for phrases in FILLER.values() for text in phrases]
        for token in set(_words(tokenizer, filler)) - basis - places.keys():
            places[token].append(plain)
    spread = rows[sorted(basis)].std(0) * APART
    generator = torch.Generator().manual_seed(1)
    for token, beginnings in sorted(places.items()):
        noise = torch.randn(len(spread), generator=generator)
        rows[token] = torch.stack(beginnings).mean(0) + noise * spread


def known_tokens(tokenizer: CLIPTokenizer, names: list[str]) -> set[int]:
    """The ids in captions of objects by these names: the rows that a model has learned, and which
    stay as they are. ("of" is also a word of filler, and "emoji of a fox" one of captions.)
    """
    return set(_words(tokenizer, [*names, *PLAIN, *GRAMMAR, *STYLES, *BACKGROUNDS]))


def _words(tokenizer: CLIPTokenizer, texts: list[str]) -> list[int]:
    """The ids of the texts' tokens, without the ends."""
    return [token for text in texts for token in tokenizer(text).input_ids[1:-1]]


def _lookalikes(
    clip: CLIPModel, pictures: np.ndarray, scenes: list[Scene], known: list[str]
) -> dict[str, str]:
    """Each object -> itself or the known one with the nearest mean picture embedding."""
    means: list[Tensor] = []
    for noun in NOUNS:
        shown = [i for i, scene in enumerate(scenes) if scene.nouns == (noun,)][:SHOWN]
        pixels = to_tensor(halve(pictures[shown]))
        embedded = clip.get_image_features(pixel_values=pixels).pooler_output
        means.append(F.normalize(embedded, dim=-1).mean(0))
    vectors = F.normalize(torch.stack(means), dim=-1)  # (objects, projection_dim)
    nearest = (vectors @ vectors[[NOUNS.index(noun) for noun in known]].T).argmax(1).tolist()
    near = dict(zip(NOUNS, (known[i] for i in nearest), strict=True))
    return near | {noun: noun for noun in known}
