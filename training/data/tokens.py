"""The CLIP tokenizer: byte-level BPE that grows with the vocabulary and never renames a token.

Weights belong to ids: so the merges of the tokenizer that ships are kept as they are, and new
words add theirs behind them. A text of old words is split as before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from torch import Tensor
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77  # tokens, both ends included
Pair = tuple[str, str]


def build_tokenizer(words: Iterable[str], known: list[Pair]) -> CLIPTokenizer:
    """Knows every byte, at the end of a word and inside one, so that any Unicode text encodes.

    As in OpenAI's vocabulary the order is bytes, bytes that end a word, merges, START, END; END
    has the highest id and pads too. `known` are the merges to begin with.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = alphabet + [f"{letter}</w>" for letter in alphabet]
    split = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    counts = Counter(word for text in words for word, _ in split.pre_tokenize_str(text.lower()))
    learned = learn_merges(counts, known)
    tokens = letters + [left + right for left, right in learned] + [START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=learned, model_max_length=LENGTH)


def merges_of(folder: Path) -> list[Pair]:
    """The merges of a saved tokenizer; none where there is no such folder."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return []
    merges = json.loads(path.read_text())["model"]["merges"]
    return [(left, right) for left, right in merges]


def learn_merges(words: Counter[str], known: list[Pair]) -> list[Pair]:
    """`known`, then the commonest pair first, of equal ones the first in order, until every word
    is one token.

    Not `tokenizers.trainers.BpeTrainer`: of equally common pairs it picks another one each run,
    and weights trained with one vocabulary are wrong with the next.
    """
    spelled = {word: [*word[:-1], f"{word[-1]}</w>"] for word in sorted(words)}
    for pair in known:
        spelled = {word: _merged(parts, pair) for word, parts in spelled.items()}
    learned = list(known)
    counts: Counter[Pair] = Counter()
    for word, parts in spelled.items():
        _count(counts, parts, words[word])
    while +counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        learned.append(best)
        for word, parts in spelled.items():
            if best[0] in parts:
                _count(counts, parts, -words[word])
                spelled[word] = _merged(parts, best)
                _count(counts, spelled[word], words[word])
    return learned


def _count(counts: Counter[Pair], parts: list[str], times: int) -> None:
    for pair in pairwise(parts):
        counts[pair] += times


def _merged(parts: list[str], pair: Pair) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def grown_rows(rows: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Token embeddings (old, hidden) -> (size, hidden): old rows in their places, START and END
    moved to the new end, the rows between drawn with the mean and deviation of the old ones."""
    if len(rows) == size:
        return rows
    words, ends = rows[:-2], rows[-2:]
    noise = torch.randn(size - len(rows), rows.shape[1], generator=generator)
    return torch.cat([words, words.mean(0) + noise * words.std(0), ends])
