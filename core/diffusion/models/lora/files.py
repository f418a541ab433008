"""LoRA files: which are here, and which of them settings ask for. Imports no torch.

A LoRA (Hu et al. 2021) adds weight * B A to matrices of a model, B and A of a low rank. Its file
lies in a model root (LIGHTBOX_MODELS), or in a folder "lora" or "loras" of one, and is called by
its name without the ending. Settings name them as "ink:0.8, paper:0.5".
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from safetensors import SafetensorError, safe_open

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.models.files.walked import Walked, entries
from core.diffusion.models.files.weights import read_header
from core.diffusion.models.lora.names import HEADER, is_lora_name
from core.diffusion.models.origins import ENDING, model_roots
from core.diffusion.recipe.prompt.lora_text import LoraError, parse_loras
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

FOLDERS = ("lora", "loras")


@dataclass(frozen=True, kw_only=True)
class LoraFile:
    """A LoRA that takes part: its file, the SHA-256 (hex) of that, and its weight, not 0."""

    sha: str
    weight: float
    path: Path


def list_loras() -> list[str]:
    """The names of the LoRA files in the model roots, in alphabetical order."""
    return sorted(lora_paths())


def used_loras(text: str) -> tuple[LoraFile, ...]:
    """The files that `text` makes take part, by their SHA-256: the order in which they are added
    up, whatever they are called. Raises LoraError.
    """
    loras = [lora for lora in parse_loras(text) if lora.weight != 0]
    if not loras:
        return ()
    files = lora_paths()
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
        return [[_identity(file), file.weight] for file in used_loras(text)]
    except (LoraError, OSError):
        return [["not here", text]]


def _identity(file: LoraFile) -> str:
    """What stands for a file in a digest: its SHA-256, or where versions before this one misread
    its strengths, so that what they stored is another picture, a hash of that.
    """
    state = file.path.stat()
    if not _was_misread(file.path, state.st_size, state.st_mtime_ns):
        return file.sha
    return hashlib.sha256(f"{file.sha} each layer at its own strength".encode()).hexdigest()


@functools.lru_cache(maxsize=1024)
def _was_misread(path: Path, size: int, changed: int) -> bool:
    """Strengths in the header, magnitudes, and alphas that differ by layer were lost."""
    header = read_header(path)
    if HEADER in header.metadata or any("dora_scale" in name for name in header.shapes):
        return True
    names = [name for name in header.shapes if name.endswith(".alpha")]
    try:
        with safe_open(path, framework="numpy") as tensors:
            return len({float(tensors.get_tensor(name)) for name in names}) > 1
    except (SafetensorError, TypeError, ValueError, OSError):  # bfloat16 is none of numpy's
        return bool(names)


def wanted_loras(settings: GenerationSettings) -> tuple[LoraFile, ...]:
    """The files that the settings ask for. Raises SettingsError where one is not here."""
    try:
        return used_loras(settings.loras)
    except LoraError as error:
        raise SettingsError([Problem(field="loras", reason=str(error))]) from None


def missing_loras(text: str) -> str:
    """Why a LoRA of the text is not to be had, "" where all are here."""
    try:
        used_loras(text)
    except LoraError as error:
        return str(error)
    return ""


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"{name} is not here: put its .safetensors file into a folder of LIGHTBOX_MODELS"
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"{name} is not here, or its file is damaged; did you mean {near}?"


def _walked() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for root in model_roots():
        for file in entries(root, FOLDERS):
            if file.suffix != ENDING or not file.is_file():
                continue
            if _can_be_named(file.stem) and _is_lora(file):
                found.setdefault(file.stem, file)
    return found


lora_paths = Walked(lambda: _walked())


def _can_be_named(stem: str) -> bool:
    """Return whether `parse_loras` could read it."""
    return stem == stem.strip() and "," not in stem and ":" not in stem


def _is_lora(file: Path) -> bool:
    try:
        names = read_header(file).shapes
    except ModelError:
        return False
    return any(is_lora_name(name) for name in names)
