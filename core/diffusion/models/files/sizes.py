"""Sizes in a part's configuration that no model has: building such a part would never end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.weights import read_json

MOST = 1_000_000
"""Of any whole number: the largest in published models is a vocabulary of 250,000 tokens."""

MOST_LAYERS = 1000
"""Of what counts layers."""

MOST_TIMESTEPS = 100_000


def refuse_impossible_sizes(folder: Path, parts: tuple[str, ...], called: str) -> None:
    """Raises ModelError for the first size of a part's configuration that no model has."""
    for part in parts:
        for name in ("config.json", "scheduler_config.json"):
            file = folder / part / name
            if not file.is_file():
                continue
            for key, value, most in _sizes(read_json(file)):
                if not -most <= value <= most:
                    shown = f"{value}" if abs(value) < 10**20 else "a number of over 20 digits"
                    raise ModelError(
                        f"{called}: {part}/{name} says that {key} is {shown}; up to {most:,} can "
                        "be used. Copy or download the model again."
                    )


def _sizes(values: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Every whole number of a configuration and every list's length, with the most it may be."""
    for key, value in values.items():
        most = MOST_LAYERS if "layers" in key else MOST
        if key == "num_train_timesteps":
            most = MOST_TIMESTEPS
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, int) and not isinstance(one, bool):
                yield key, one, most
        if isinstance(value, list) and len(value) > MOST_TIMESTEPS:
            yield f"the length of {key}", len(value), MOST_TIMESTEPS
