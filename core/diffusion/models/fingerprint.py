"""A model's fingerprint, by its weights and configurations, and the state of their files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from core.diffusion.models.families import TWO_ENCODERS, Family
from core.diffusion.models.files.hashes import file_sha256

TEXT_PARTS = tuple(part for row in TWO_ENCODERS for part in (row.tokenizer, row.encoder))
ALL_PARTS = (*TEXT_PARTS, "unet", "vae", "scheduler")

State = tuple[tuple[str, int, int], ...]
"""Name, size and modification time of every file: changes when the model does."""


def state_of(folder: Path) -> State:
    """The state of what a model's folder holds, by its parts."""
    files = [folder / "model_index.json", folder / "lightbox.json", folder / "preview.json"]
    for name in ALL_PARTS:
        files += sorted((folder / name).glob("*")) if (folder / name).is_dir() else []
    return state_of_files(file for file in files if file.is_file())


def state_of_files(files: Any) -> State:
    """Path, size in bytes and modification time in ns of each."""
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def fingerprint_of(
    folder: Path,
    family: Family,
    state: State,
    weights: list[Path],
    zeroes: bool,
    is_mended: bool,
) -> str:
    """What gives other pixels gives another fingerprint: the weights that are read, vocabulary,
    configurations.
    """
    whole = hashlib.sha256()
    for path, _, _ in state:
        file = Path(path)
        name = file.relative_to(folder).as_posix()
        is_read = file.suffix in (".json", ".txt") or file in weights
        if file.parent.name in family.parts and is_read:
            whole.update(f"{name}\0".encode())
            whole.update(bytes.fromhex(file_sha256(file)))
    if zeroes:
        whole.update(b"zeroes empty negative prompt")
    if is_mended:  # versions before this one ran it as it is written
        whole.update(b"scheduler configuration mended as the pipeline does")
    return whole.hexdigest()
