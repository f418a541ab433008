"""The text that names LoRAs in the settings, "ink:0.8, paper:0.5". It looks for no file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MAX_WEIGHT = 10.0


class LoraError(ValueError):
    """A LoRA that cannot be used, or a text that names none; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """One LoRA as the settings name it."""

    name: str
    weight: float = 1.0


def parse_loras(text: str) -> tuple[Lora, ...]:
    """Read the LoRAs in "ink:0.8, paper" (a weight left out is 1). Raises LoraError."""
    found: list[Lora] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, number = part.rpartition(":")
        name = name.strip() if colon else part
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            raise LoraError(
                f"{number.strip()!r} is not a number: write a LoRA as {name}:0.8"
            ) from None
        if not name:
            raise LoraError(f"{part!r} names no LoRA: write it as name:0.8")
        if not math.isfinite(weight) or abs(weight) > MAX_WEIGHT:
            raise LoraError(f"{name}: {weight:g} is outside -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
        if any(lora.name == name for lora in found):
            raise LoraError(f"{name} is named twice: give it one weight")
        found.append(Lora(name=name, weight=weight))
    return tuple(found)


def loras_text(loras: Iterable[Lora]) -> str:
    """Write the text that `parse_loras` reads."""
    return ", ".join(f"{lora.name}:{lora.weight:g}" for lora in loras)


def takes_part(text: str) -> bool:
    """Return whether a LoRA of the text has a weight other than 0; True for a text that is none."""
    try:
        return any(lora.weight != 0 for lora in parse_loras(text))
    except LoraError:
        return True
