"""Stage text: the text tower learns synonyms and filler without the UNet noticing.

The teacher is the text tower as it is, reading the plain caption: usual names, no filler. The
student reads the caption as people write it. Each of its words is to come out as the word that
it stands for does in the teacher: another name as the usual one, filler as the start token, to
which the UNet's attention goes when there is nothing to attend to. So a UNet that was trained on
plain captions understands the others at once.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from training.data.captions import FILL, NOUNS, Caption, random_caption
from training.data.scenes import Scene
from training.loop.loop import Options

NOTHING = -1  # the teacher's word of a filler word
Words = list[str]


def plain_words(caption: Caption, nouns: tuple[str, ...]) -> tuple[Words, Words, list[int]]:
    """The student's words, the teacher's, and for each of the student's its teacher's index."""
    student: Words = []
    teacher: Words = []
    stands_for: list[int] = []
    said: set[str] = set()
    for word in _split(caption.marked):
        mark, bare = word[0], word.lstrip(FILL + "".join(NOUNS))
        student.append(bare)
        if mark == FILL:
            stands_for.append(NOTHING)
        elif mark in NOUNS:
            usual = nouns[NOUNS.index(mark)].split()
            if mark not in said:
                teacher += usual
                said.add(mark)
            stands_for.append(len(teacher) - 1)
        else:
            teacher.append(bare)
            stands_for.append(len(teacher) - 1)
    for i, word in enumerate(teacher[:-1]):
        if word in ("a", "an"):
            teacher[i] = "an" if teacher[i + 1][0] in "aeiou" else "a"
    return student, teacher, stands_for


def _split(marked: str) -> Words:
    """Words and commas, each with its mark."""
    words: Words = []
    for word in marked.split():
        bare = word.rstrip(",")
        words += [bare] if bare.lstrip(FILL) else []
        words += [word.replace(bare, "") if bare.lstrip(FILL) else word] * (bare != word)
    return words


class Pairs:
    """Batches of captions for the student with what the teacher makes of them."""

    def __init__(self, tokenizer: CLIPTokenizer, teacher: Callable[..., Any]) -> None:
        self.tokenizer = tokenizer
        self.teacher = teacher
        self.tokens = cache(lambda word: tokenizer(word).input_ids[1:-1])

    @torch.no_grad()
    def batch(
        self, captions: list[Caption], scenes: list[Scene], length: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ids (B, length), targets (B, length, hidden) and the weights of their errors."""
        end = self.tokenizer.eos_token_id
        ids = torch.full((len(captions), length), end)
        plain = ids.clone()
        source = torch.arange(length).repeat(len(captions), 1)  # the pads stand for themselves
        weights = torch.full(ids.shape, 0.25)
        for row, (caption, scene) in enumerate(zip(captions, scenes, strict=True)):
            student, teacher, stands_for = plain_words(caption, scene.nouns)
            spelled = [self.tokens(word) for word in teacher]
            text = [token for tokens in spelled for token in tokens][: length - 2]
            plain[row, : len(text) + 1] = torch.tensor([self.tokenizer.bos_token_id, *text])
            last = torch.tensor([len(tokens) for tokens in spelled]).cumsum(0)  # behind the start
            read, means = [self.tokenizer.bos_token_id], [0]
            for word, index in zip(student, stands_for, strict=True):
                tokens = self.tokens(word)
                read += tokens
                means += [0 if index == NOTHING else int(last[index])] * len(tokens)
            read, means = read[: length - 1], [*means[: length - 1], len(text) + 1]
            ids[row, : len(read)] = torch.tensor(read)
            source[row].clamp_(min=len(text) + 2, max=length - 1)  # no pad stands for a word
            source[row, : len(means)] = torch.tensor(means).clamp(max=length - 1)
            weights[row, : len(means)] = 1
        hidden = self.teacher(plain).last_hidden_state
        targets = torch.gather(hidden, 1, source[..., None].expand(-1, -1, hidden.shape[-1]))
        return ids, targets, weights


def text_loss(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    scenes: list[Scene],
    recipe: dict[str, Any],
    options: Options,
) -> Callable[[float], Tensor]:
    """Squared error of the hidden states. One batch in eight is padded to the full length."""
    rng = random.Random()
    pairs = Pairs(tokenizer, copy.deepcopy(clip.text_model).eval().requires_grad_(False))

    def loss_of(progress: float) -> Tensor:
        chosen = rng.choices(scenes, k=recipe["batch"])
        captions = [random_caption(rng, scene) for scene in chosen]
        length = tokenizer.model_max_length if rng.random() < 1 / 8 else recipe["length"]
        ids, targets, weights = pairs.batch(captions, chosen, length)
        made = clip.text_model(ids).last_hidden_state
        error = (made - targets).square().mean(-1)
        return (weights * error).sum() / weights.sum()

    return loss_of
