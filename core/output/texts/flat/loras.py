"""The LoRAs that a tool of FLAT_TOOLS names, with their weights, in the forms that these write.

SwarmUI: "loras" and "loraweights", two lists; Fooocus: lists of name and weight, and since 2.2
"lora_combined_1": "name : 0.5"; InvokeAI: objects with "model" (or "lora") and "weight"; Draw
Things: objects with "file" and "weight"; Easy Diffusion: "use_lora_model" and "lora_alpha".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.output.texts.facts import number
from core.output.texts.files.found import Json

_LISTS = (
    ("loras", "loraweights"),
    ("lora", ""),
    ("use_lora_model", "lora_alpha"),
    ("LoRA model", "LoRA strength"),
)
"""Keys of the LoRAs, and of their weights where those stand apart."""

_NAMES = ("name", "file", "model_name", "model", "lora")
_WEIGHTS = ("weight", "strength", "scale")
_COMBINED = "lora_combined_"
_MOST = 50
_DEEPEST = 3


def read_loras(given: Json) -> list[tuple[str, float]]:
    """Names with weights, 1 where none is given. What has no name, or no weight, is left out."""
    found: list[tuple[str, float]] = []
    for key, weights_key in _LISTS:
        entries, weights = _list(given.get(key)), _list(given.get(weights_key))
        for index, entry in enumerate(entries[:_MOST]):
            name, weight = _one(entry)
            if weights_key and index < len(weights):
                weight = number(weights[index], float)
            found.append((name, 1.0 if weight is None else weight))
    for key, value in list(given.items())[:500]:
        if key.startswith(_COMBINED) and isinstance(value, str) and ":" in value[:500]:
            name, _, weight = value[:500].rpartition(":")
            found.append((name.strip(), number(weight, float) or 0.0))
    return [(name, weight) for name, weight in found if name not in ("", "None") and weight]


def _list(value: Any) -> list[Any]:
    """A list; several in one text are parted by commas."""
    if isinstance(value, str):
        return [part.strip() for part in value[:5000].split(",")] if value.strip() else []
    if isinstance(value, list):
        return value
    return [] if value is None or isinstance(value, bool) else [value]


def _one(entry: Any) -> tuple[str, float | None]:
    if isinstance(entry, str):
        return _named(entry), None
    if isinstance(entry, list) and entry:
        weight = next((one for one in entry[1:] if isinstance(one, int | float)), None)
        return _named(entry[0]), number(weight, float)
    if isinstance(entry, Mapping):
        weight = next((entry[key] for key in _WEIGHTS if key in entry), None)
        return _named(entry), number(weight, float)
    return "", None


def _named(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value.strip() if len(value) < 500 else ""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return next((_named(value[key], depth + 1) for key in _NAMES if key in value), "")
    return ""
