r"""Weights in a prompt: `(word:1.3)`, `(word)`, `[word]`, as AUTOMATIC1111 reads and applies them.

Sources: `modules/prompt_parser.py` (parse_prompt_attention) and `modules/sd_emphasis.py`
(EmphasisOriginal) of the web UI 1.10. `compel` weighs in another syntax and by another formula, so
a prompt from a web UI's picture would come out differently. What changes between steps is
`editing`'s, and has been read before. Imports no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROUND = 1.1
"""What a pair of ( ) multiplies by, and a pair of [ ] divides by."""

MOST = 1e6
EMPHASES = ("Original", "No norm")
"""How weights act, by the web UI's names: the mean of the embeddings is restored, or not."""

DEEPEST = 32
"""Brackets further inside than this are text: they would weigh beyond any use."""

# What a backslash escapes, a weight before its bracket, single brackets, and plain text.
_PIECE = re.compile(
    r"(?P<escaped>\\[()\[\]\\])"
    r"|:\s*(?P<weight>[+-]?(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9}))\s*\)"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<text>[^\\()\[\]:]+|:|\\)"
)
_BRACKET = re.compile(r"[()\[\]]")
BREAKS = re.compile(r"(?<!\s)\s*\bBREAK\b\s*")
"""What ends a chunk of a prompt."""


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """A piece of a prompt, without its brackets, and the factor on its tokens' embeddings."""

    text: str
    weight: float = 1.0


Pieces = tuple[Weighted, ...]


def parse_weights(prompt: str) -> Pieces:
    r"""The pieces of a prompt, at least one; neighbours of one weight are one piece.

    `\(`, `\)`, `\[`, `\]` and `\\` are the characters themselves. A bracket that is never closed
    reaches to the end, and a closing one that was never opened is text. In a prompt without any
    bracket nothing is special.
    """
    if not _BRACKET.search(prompt):
        return (Weighted(text=prompt),)
    found: list[tuple[str, float]] = []
    open_at: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(start: int, factor: float) -> None:
        found[start:] = [(text, weight * factor) for text, weight in found[start:]]

    for match in _PIECE.finditer(prompt):
        text = match[0]
        if match["weight"] is not None and open_at["("]:
            multiply(open_at["("].pop(), float(match["weight"]))
        elif text in open_at and len(open_at[text]) < DEEPEST:
            open_at[text].append(len(found))
        elif text == ")" and open_at["("]:
            multiply(open_at["("].pop(), ROUND)
        elif text == "]" and open_at["["]:
            multiply(open_at["["].pop(), 1 / ROUND)
        else:
            found.append((match["escaped"][1] if match["escaped"] else text, 1.0))
    for start in open_at["("]:
        multiply(start, ROUND)
    for start in open_at["["]:
        multiply(start, 1 / ROUND)
    pieces: list[Weighted] = []
    for text, weight in found:
        rounded = round(min(max(weight, -MOST), MOST), 6)  # 1.1 / 1.1 is no weight
        if pieces and pieces[-1].weight == rounded:
            text = pieces.pop().text + text
        pieces.append(Weighted(text=text, weight=rounded))
    return tuple(pieces) or (Weighted(text=""),)


def parse_chunks(prompt: str) -> tuple[Pieces, ...]:
    """The pieces of each chunk of a prompt: BREAK ends one, and each is encoded by itself."""
    if "BREAK" not in prompt:
        return (parse_weights(prompt),)
    chunks: list[list[Weighted]] = [[]]
    for piece in parse_weights(prompt):
        for number, text in enumerate(BREAKS.split(piece.text)):
            if number:
                chunks.append([])
            if text:
                chunks[-1].append(Weighted(text=text, weight=piece.weight))
    return tuple(tuple(chunk) or (Weighted(text=""),) for chunk in chunks)


def plain_text(prompt: str) -> str:
    """The prompt as it is read, without weights."""
    return "".join(piece.text for piece in parse_weights(prompt))


def has_weights(prompt: str) -> bool:
    """Return whether any piece has another weight than 1."""
    return any(piece.weight != 1 for piece in parse_weights(prompt))


def canonical_prompt(prompt: str) -> Any:
    """Equal for prompts of equal embeddings: text, or pieces with weights where there are any; of
    each chunk, where there are several.
    """
    chunks = [_canonical(pieces) for pieces in parse_chunks(prompt)]
    return chunks[0] if len(chunks) == 1 else {"break": chunks}


def _canonical(pieces: Pieces) -> str | list[list[str | float]]:
    if _is_plain(pieces):
        return "".join(piece.text for piece in pieces)
    return [[piece.text, piece.weight] for piece in pieces]


def tokenized(tokenizer: Any, pieces: Pieces, **options: Any) -> Any:
    """What a transformers tokenizer says of a chunk; the pieces of a weighted one apart."""
    if _is_plain(pieces):
        return tokenizer("".join(piece.text for piece in pieces), **options)
    texts = [piece.text for piece in pieces]
    return tokenizer(texts, is_split_into_words=True, **options)


def token_weights(inputs: Any, pieces: Pieces) -> list[float]:
    """One weight a token of `tokenized`, 1 for those of no piece; [] where none has any."""
    if _is_plain(pieces):
        return []
    return [1.0 if word is None else pieces[word].weight for word in inputs.word_ids(0)]


def _is_plain(pieces: Pieces) -> bool:
    return all(piece.weight == 1 for piece in pieces)


def weigh(hidden: torch.Tensor, weights: list[float], keeps_mean: bool = True) -> torch.Tensor:
    """Embeddings (1, tokens, width) times a weight a token, with their mean as before if it is
    kept (EMPHASES).

    Where that mean is next to nothing (under 1 % of the deviation, as in the bundled model), the
    quotient of two means would be chance, so it stays away: the web UI's "No norm".
    """
    weighed = hidden.float() * hidden.new_tensor(weights).float()[:, None]
    before, after = hidden.float().mean(), weighed.mean()
    if keeps_mean and abs(before) > 0.01 * hidden.float().std():
        weighed = weighed * (before / after)
    return weighed.to(hidden.dtype)
