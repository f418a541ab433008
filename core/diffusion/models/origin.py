"""Origin: where a model's files are, and what of a path may be looked at. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model's files are: a folder in diffusers layout or a single file, within `root`.

    `revision` is the commit of a model from the hub.
    """

    source: str
    path: Path
    root: Path
    revision: str = ""


def is_model_folder(folder: Path) -> bool:
    """Return whether a folder is one in diffusers layout, by its model_index.json."""
    return (folder / "model_index.json").is_file()


def expanded(source: str) -> Path:
    """Return the path with the home directory for "~"; a "~name" of nobody stays as it is."""
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)
