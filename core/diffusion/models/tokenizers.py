"""CLIP's tokenizer: a model's own, or the vocabulary that comes with the app.

configs/clip_merges.txt.gz are the byte pairs of OpenAI's CLIP (MIT licence), which every Stable
Diffusion of these families uses; single files bring none.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any

from core.diffusion.models.single_file import CONFIGS
from core.diffusion.models.weights import read_json
from core.diffusion.recipe.libraries import library

OWN_FILES = ("tokenizer.json", "vocab.json")


def read_tokenizer(folder: Path, name: str = "tokenizer") -> Any:
    """The tokenizer of the model in `folder`; where it has settings alone, with CLIP's words."""
    tokenizer: Any = library("transformers").CLIPTokenizer
    place = folder / name
    if any((place / file).is_file() for file in OWN_FILES):
        return tokenizer.from_pretrained(place, local_files_only=True)
    options = read_json(place / "tokenizer_config.json")
    del options["tokenizer_class"]
    merges, vocabulary = clip_words()
    return tokenizer(vocab=vocabulary, merges=list(merges), **options)


@functools.cache
def clip_words() -> tuple[tuple[tuple[str, str], ...], dict[str, int]]:
    """CLIP's byte pairs in their order, and its 49408 tokens: the bytes, the bytes that end a
    word, the pairs, and two marks.

    Source: openai/CLIP, simple_tokenizer.py.
    """
    with gzip.open(CONFIGS / "clip_merges.txt.gz", "rt", encoding="utf-8") as stream:
        lines = stream.read().splitlines()[1:]
    merges = tuple((first, second) for first, second in (line.split() for line in lines))
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in shown] + [chr(256 + i) for i in range(256 - len(shown))]
    words = [first + second for first, second in merges]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *words, *marks]
    return merges, {token: index for index, token in enumerate(tokens)}
