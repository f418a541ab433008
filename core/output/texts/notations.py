r"""Weights in a prompt as other tools write them -> ours, which are AUTOMATIC1111's `(word:1.3)`.

Each function gives the prompt in our notation and a sentence if it changed anything. Sources:
NovelAI's documentation ("Strengthening and weakening"), compel's (InvokeAI), ComfyUI's
`comfy/sd1_clip.py` (token_weights).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_ESCAPE = re.compile(r"[()\[\]]|\\(?=[()\[\]\\])")
_SQUARE = re.compile(r"\\.|[\[\]]", re.S)

Notation = Callable[[str], tuple[str, str]]


def from_web_ui(prompt: str) -> tuple[str, str]:
    """AUTOMATIC1111's own: nothing to do."""
    return prompt, ""


def from_comfyui(prompt: str) -> tuple[str, str]:
    """ComfyUI weighs by ( ) alone: its [ ] are letters."""
    changed = _SQUARE.sub(lambda match: "\\" + match[0] if match[0] in "[]" else match[0], prompt)
    if changed == prompt:
        return prompt, ""
    return changed, r"Its [ ] are plain letters, no weights: written as \[ \] here."


_NOVELAI = re.compile(r"(?P<number>-?\d{1,4}(?:\.\d{1,6})?)::|(?P<end>::)|(?P<bracket>[{}\[\]])")
_NOVELAI_ROUND = 1.05


def from_novelai(prompt: str) -> tuple[str, str]:
    """NovelAI: `{x}` times 1.05, `[x]` divided by 1.05, `1.2::x::` times 1.2; ( ) are letters."""
    pieces: list[str] = []
    depth = {"{": 0, "[": 0}
    number, at = 1.0, 0

    def put(text: str) -> None:
        weight = number * _NOVELAI_ROUND ** (min(depth["{"], 99) - min(depth["["], 99))
        plain = _ESCAPE.sub(r"\\\g<0>", text)
        shown = f"{weight:.4f}".rstrip("0").rstrip(".")
        pieces.append(f"({plain}:{shown})" if plain.strip() and shown != "1" else plain)

    for match in _NOVELAI.finditer(prompt):
        put(prompt[at : match.start()])
        at = match.end()
        if match["number"]:
            number = float(match["number"])
        elif match["end"]:
            number = 1.0
        elif match[0] in depth:
            depth[match[0]] += 1
        else:
            opening = "{" if match[0] == "}" else "["
            depth[opening] = max(depth[opening] - 1, 0)
    put(prompt[at:])
    changed = "".join(pieces)
    if changed == prompt:
        return prompt, ""
    return changed, "NovelAI's weights, {x}, [x] and 1.2::x::, are written as (x:1.2) here."


_INVOKEAI = re.compile(r"\\.|[()\[\]]|[^\s()\[\]\\,]+|[\s,]+|\\", re.S)
_FACTOR = re.compile(r"\++|-+|\d{0,4}\.?\d{1,6}")
_METHODS = re.compile(r"\)\.(?:and|blend|swap)\(")


def from_invokeai(prompt: str) -> tuple[str, str]:
    """compel: `word+` times 1.1, `word-` times 0.9, `(x)1.3`, `(x)++`; `(x)` alone weighs 1."""
    pieces: list[str] = []
    open_at: list[int] = []
    at = 0
    while match := _INVOKEAI.match(prompt, at):
        token, at = match[0], match.end()
        if token == "(":
            open_at.append(len(pieces))
            pieces.append(r"\(")  # until its other half is found
        elif token == ")" and open_at:
            suffix = _FACTOR.match(prompt, at)
            weight = _factor(suffix[0]) if suffix else 1.0
            at = suffix.end() if suffix else at
            pieces[open_at.pop()] = "" if weight == 1 else "("
            pieces.append("" if weight == 1 else f":{weight:.6g})")
        elif token in ")[]":
            pieces.append("\\" + token)
        else:
            pieces.append(_signed_word(token))
    changed = "".join(pieces)
    said: list[str] = []
    if changed != prompt:
        said.append("InvokeAI's weights, word+ and (x)1.3, are written as (x:1.3) here.")
    if _METHODS.search(prompt):
        said.append("Its .and(), .blend() or .swap() is treated as plain text here.")
    return changed, " ".join(said)


def _signed_word(word: str) -> str:
    for sign in "+-":
        bare = word.rstrip(sign)
        if bare and bare != word and bare[-1].isalnum():
            return f"({bare}:{_factor(word[len(bare) :]):.6g})"
    return word


def _factor(suffix: str) -> float:
    if suffix[0] in "+-":
        return round((1.1 if suffix[0] == "+" else 0.9) ** min(len(suffix), 40), 6)
    return float(suffix)


NOTATIONS: Mapping[str, Notation] = {
    "web ui": from_web_ui,
    "ComfyUI": from_comfyui,
    "NovelAI": from_novelai,
    "InvokeAI": from_invokeai,
}


def notation_of(version: str) -> Notation:
    """The notation of a "parameters" text, by the "Version" that its tool wrote into it."""
    comfy = version.lower().startswith(("comfyui", "fooocus", "swarm"))
    return from_comfyui if comfy else from_web_ui
