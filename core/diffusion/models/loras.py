"""LoRA files: which are here, and the text that names them in the settings. Imports no torch.

A LoRA (Hu et al. 2021) adds weight * B A to matrices of a model, B and A of a low rank. Its file
lies in a model root (LIGHTBOX_MODELS), or in a folder "lora" or "loras" of one, and is called by
its name without the ending. Settings name them as "ink:0.8, paper:0.5".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from core.diffusion.models.families import ModelError
from core.diffusion.models.hashes import file_sha256

FOLDERS = ("lora", "loras")
MAX_WEIGHT = 10.0
MARKS = (".lora_down.", ".lora_up.", ".lora_a.", ".lora_b.", ".lora.down.", ".lora.up.")
"""What stands in the tensors' names of a LoRA, in lower case, whichever tool saved it."""


class LoraError(ValueError):
    """A LoRA that cannot be used, or a text that names none; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """One LoRA as the settings name it."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LoraFile:
    """A LoRA that takes part: its file, the SHA-256 (hex) of that, and its weight, not 0."""

    sha: str
    weight: float
    path: Path


def parse_loras(text: str) -> tuple[Lora, ...]:
    """The LoRAs in "ink:0.8, paper" (a weight left out is 1). Raises LoraError."""
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
    """The text that `parse_loras` reads."""
    return ", ".join(f"{lora.name}:{lora.weight:g}" for lora in loras)


def list_loras() -> list[str]:
    """The names of the LoRA files in the model roots, in alphabetical order."""
    return sorted(_files())


def used_loras(text: str) -> tuple[LoraFile, ...]:
    """The files that `text` makes take part, by their SHA-256: the order in which they are added
    up, whatever they are called. Raises LoraError.
    """
    loras = [lora for lora in parse_loras(text) if lora.weight != 0]
    if not loras:
        return ()
    files = _files()
    found: list[LoraFile] = []
    for lora in loras:
        path = files.get(lora.name)
        if path is None:
            raise LoraError(_unknown(lora.name, sorted(files)))
        found.append(LoraFile(sha=file_sha256(path), weight=lora.weight, path=path))
    return tuple(sorted(found, key=lambda file: file.sha))


def canonical_loras(text: str) -> list[list[str | float]]:
    """What of `text` matters to the pixels, [] if nothing does. A LoRA that is not here stands by
    its name: such settings are those of no stored image.
    """
    try:
        return [[file.sha, file.weight] for file in used_loras(text)]
    except (LoraError, OSError):
        return [["not here", text]]


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"{name} is not here: put its .safetensors file into a folder of LIGHTBOX_MODELS"
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"{name} is not here, or its file is damaged; did you mean {near}?"


def _files() -> dict[str, Path]:
    from core.diffusion.models.origins import model_roots

    found: dict[str, Path] = {}
    for root in model_roots():
        for file in _candidates(root):
            if _can_be_named(file.stem) and _is_lora(file):
                found.setdefault(file.stem, file)
    return found


def _candidates(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        return
    inside = root.resolve()
    places = [root, *(one for one in root.iterdir() if one.name.lower() in FOLDERS)]
    for place in places:
        for file in sorted(place.glob("*.safetensors")):
            # A link that leads out of the root is not followed.
            if file.is_file() and file.resolve().is_relative_to(inside):
                yield file


def _can_be_named(stem: str) -> bool:
    """Whether `parse_loras` could read it."""
    return stem == stem.strip() and "," not in stem and ":" not in stem


def _is_lora(file: Path) -> bool:
    state = file.stat()
    return _has_marks(file, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _has_marks(file: Path, size: int, modified: int) -> bool:
    from core.diffusion.models.weights import read_header

    try:
        names = read_header(file).shapes
    except ModelError:
        return False
    return any(mark in f"{name.lower()}." for name in names for mark in MARKS)
