"""CLIP's tokenizer and its tokens: a model's own, or the vocabulary that comes with the app.

configs/clip_merges.txt.gz are the byte pairs of OpenAI's CLIP (MIT licence), which every Stable
Diffusion of these families uses; single files bring none.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.files.single_file import CONFIGS
from core.diffusion.models.files.weights import AGAIN, first_line, read_json
from core.diffusion.recipe.libraries import library
from core.diffusion.recipe.prompt.weights import Pieces, parse_chunks, token_weights, tokenized

OWN_FILES = ("tokenizer.json", "vocab.json")
FOREIGN_FILES = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.txt")
"""Vocabularies of other tokenizers: a model that has one was not trained on CLIP's words."""

CLASSES = ("CLIPTokenizer", "CLIPTokenizerFast")
PLACES = 77
"""What CLIP's text encoder reads at once, of which two are its start and end."""


def read_tokenizer(folder: Path, name: str = "tokenizer") -> Any:
    """Read the tokenizer of the model in `folder`; where it has settings alone, with CLIP's words.

    Raises ModelError for another tokenizer than CLIP's, and for one whose files are damaged.
    """
    try:
        return _read_tokenizer(folder, name)
    except ModelError:
        raise
    except Exception as error:  # transformers raises whatever wrong types lead it into
        raise ModelError(
            f"{folder.name}/{name} cannot be read ({first_line(error)}). {AGAIN}"
        ) from error


def _read_tokenizer(folder: Path, name: str) -> Any:
    tokenizer: Any = library("transformers").CLIPTokenizer
    place = folder / name
    settings = place / "tokenizer_config.json"
    options = read_json(settings) if settings.is_file() else {}
    called = options.pop("tokenizer_class", None) or CLASSES[0]
    foreign = [file for file in FOREIGN_FILES if (place / file).is_file()]
    if called not in CLASSES or foreign:
        what = foreign[0] if called in CLASSES else called
        raise ModelError(
            f"{folder.name}/{name} is no CLIP tokenizer ({what}): its words are not those of the "
            "models that this version runs."
        )
    if any((place / file).is_file() for file in OWN_FILES):
        found = tokenizer.from_pretrained(place, local_files_only=True)
    elif not options:
        raise IncompleteError(f"{folder.name}/{name} holds no vocabulary. {AGAIN}")
    else:
        merges, vocabulary = clip_words()
        found = tokenizer(vocab=vocabulary, merges=list(merges), **options)
    if found.model_max_length > PLACES:  # where nothing is said, transformers has 1e30
        found.model_max_length = PLACES
    return found


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


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of a prompt; `text` is the piece of the prompt it stands for."""

    id: int
    text: str
    weight: float = 1.0


class Tokenizer:
    """Counts and cuts prompts as the model's text encoder does."""

    def __init__(self, model_folder: Path) -> None:
        self._tokenizer: Any = read_tokenizer(model_folder)
        # The start and the end token take two of the places.
        self.limit = int(self._tokenizer.model_max_length) - 2

    def _inputs(self, pieces: Pieces) -> Any:
        # verbose=False: a prompt over the limit is our own message, not a line in the log.
        return tokenized(self._tokenizer, pieces, add_special_tokens=False, verbose=False)

    def count(self, prompt: str) -> int:
        """Tokens without the start and end token, of the longest chunk; above `limit` the rest is
        cut off.
        """
        return max(len(self._inputs(pieces).input_ids) for pieces in parse_chunks(prompt))

    def tokens(self, prompt: str) -> list[Token]:
        """The tokens of all chunks of a prompt that is one text."""
        found: list[Token] = []
        for pieces in parse_chunks(prompt):
            inputs = self._inputs(pieces)
            ids: list[int] = inputs.input_ids
            weights = token_weights(inputs, pieces) or [1.0] * len(ids)
            found += [
                Token(id=id, text=self._tokenizer.decode([id]), weight=weight)
                for id, weight in zip(ids, weights, strict=True)
            ]
        return found

    def cut_off(self, prompt: str) -> str:
        """What the text encoder never sees of `prompt`, one text: the end of each chunk that is
        too long, as the tokenizer spells it.
        """
        lost = (self._inputs(pieces).input_ids[self.limit :] for pieces in parse_chunks(prompt))
        return " ".join(filter(None, (str(self._tokenizer.decode(ids)).strip() for ids in lost)))
