"""The CLIP tokenizer: byte-level BPE learned from the captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77  # tokens, both ends included
Pair = tuple[str, str]


def build_tokenizer(captions: Iterable[str], merges: int) -> CLIPTokenizer:
    """Knows every byte, at the end of a word and inside one, so that any Unicode text encodes.

    As in OpenAI's vocabulary the order is bytes, bytes that end a word, merges, START, END; END
    has the highest id and pads too.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = alphabet + [f"{letter}</w>" for letter in alphabet]
    split = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    words = Counter(word for text in captions for word, _ in split.pre_tokenize_str(text))
    learned = learn_merges(words, merges)
    tokens = letters + [left + right for left, right in learned] + [START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=learned, model_max_length=LENGTH)


def learn_merges(words: Counter[str], limit: int) -> list[Pair]:
    """The commonest pair first, of equal ones the first in order, until every word is one token.

    Not `tokenizers.trainers.BpeTrainer`: of equally common pairs it picks another one each run,
    and weights trained with one vocabulary are wrong with the next.
    """
    spelled = {word: [*word[:-1], f"{word[-1]}</w>"] for word in sorted(words)}
    learned: list[Pair] = []
    while len(learned) < limit:
        counts: Counter[Pair] = Counter()
        for word, parts in spelled.items():
            for pair in pairwise(parts):
                counts[pair] += words[word]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        learned.append(best)
        spelled = {word: _merged(parts, best) for word, parts in spelled.items()}
    return learned


def _merged(parts: list[str], pair: Pair) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result
