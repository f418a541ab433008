"""What the web UI's prompts hold beside words: LoRAs, and marks that have no effect here."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from math import isfinite

from core.diffusion.recipe.prompt.foreign import foreign_marks

_LORA = re.compile(r" ?<lora:([^:<>]{1,200})((?::[^:<>]{0,40}){0,6})>", re.I)
_LONE_BACKSLASH = re.compile(r"\\([()\[\]\\])|\\")


def take_loras(
    prompt: str, known: Callable[[], Collection[str]]
) -> tuple[str, Mapping[str, float], tuple[str, ...]]:
    """The prompt without the LoRAs that are `known`, their weights, and what must be said.

    The web UI reads `<lora:name:0.8:0.5>` as 0.8 for the text encoder and 0.5 for the UNet, and
    the same as `te=0.8` and `unet=0.5`. One weight is used here: the UNet's.
    """
    if "<lora:" not in prompt.lower():
        return prompt, {}, ()
    here = known()
    found: dict[str, float] = {}
    notes: list[str] = []

    def take(match: re.Match[str]) -> str:
        weights = _weights(match[2])
        if match[1] not in here or weights is None:
            return match[0]
        text, unet = weights
        if text != unet:
            notes.append(
                f"The LoRA {match[1][:60]} has two weights, {text:g} for the text encoder and "
                f"{unet:g} for the UNet: the second is used for both."
            )
        found[match[1]] = found.get(match[1], 0.0) + unet
        return ""

    return _LORA.sub(take, prompt), found, tuple(notes)


def foreign_syntax(prompts: str) -> list[str]:
    """What of the web UI's own marks stands in the prompts and has no effect here, in words."""
    kinds = dict.fromkeys(kind for _, kind in foreign_marks(prompts))
    return [f"{kind} in the prompt" for kind in kinds]


def without_lone_backslashes(prompt: str) -> str:
    r"""The prompt as the web UI reads it, where a backslash that escapes nothing is dropped."""
    return _LONE_BACKSLASH.sub(lambda match: match[0] if match[1] else "", prompt)


def _weights(text: str) -> tuple[float, float] | None:
    """Text encoder's and UNet's weight in ":0.8:0.5"; None where a part is no number."""
    placed: list[float] = []
    named: dict[str, float] = {}
    for part in text.split(":")[1:]:
        name, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            return None
        if not isfinite(value):
            return None
        if equals:
            named[name.strip().lower()] = value
        else:
            placed.append(value)
    encoder = named.get("te", placed[0] if placed else 1.0)
    return encoder, named.get("unet", placed[1] if len(placed) > 1 else encoder)
