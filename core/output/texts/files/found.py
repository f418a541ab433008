"""The texts of one picture as readers look at them: by key, and as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from core.output.texts.files.containers import FoundText

Json = Mapping[str, Any]

_BAGS = frozenset(
    ["Comment", "prompt", "workflow", "parameters", "extraMetadata", "generation_data", "extra"]
)
"""Keys of an object under which another text lies, as PNG's keywords do when a picture is
converted to JPEG or WebP.
"""
_MOST_OBJECTS = 64


class Texts:
    """A picture's texts. One that was too long to be kept whole is none."""

    def __init__(self, found: Iterable[FoundText]) -> None:
        self.found = tuple(text for text in found if not text.is_cut)

    def get(self, key: str) -> str:
        """The first text of that key, or ""."""
        return next((text.text for text in self.found if text.key == key), "")

    def beside(self, key: str) -> str:
        """A short text of that key, in an object or out of all of them, or ""."""
        values = (self.get(key), *(inner.get(key) for _, inner in self.objects))
        return next((text for text in values if isinstance(text, str) and 0 < len(text) < 500), "")

    @cached_property
    def keys(self) -> Json:
        """The first text of every key, as if they were one object."""
        keys: dict[str, Any] = {}
        for text in self.found:
            keys.setdefault(text.key, text.text)
        return keys

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """Texts that are no JSON, those inside of JSON objects too."""
        texts = [text.text for text in self.found]
        texts += [value for _, found in self.objects for value in found.values() if _is_text(value)]
        return tuple(text for text in texts if not text.lstrip().startswith(("{", "[")))

    @cached_property
    def objects(self) -> tuple[tuple[str, Json], ...]:
        """Every JSON object with the key that it stands under, those inside of others too."""
        found: list[tuple[str, Json]] = []
        todo: list[tuple[str, Any]] = [(text.key, text.text) for text in self.found]
        for key, value in todo:
            if len(found) >= _MOST_OBJECTS:
                break
            if (read := as_object(value)) is not None:
                found.append((key, read))
                todo.extend((name, read[name]) for name in read if name in _BAGS)
        return tuple(found)


def as_object(value: Any) -> Json | None:
    """A JSON object, or the one in a text; None for anything else and for broken JSON."""
    if isinstance(value, dict):
        return {str(key): inner for key, inner in value.items()}
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    try:
        read: Any = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and ":" in value
