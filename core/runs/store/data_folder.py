"""Where images are kept, and the wildcards beside them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Return where images are kept: LIGHTBOX_DATA, else the user's data directory of the
    platform.
    """
    named = os.environ.get("LIGHTBOX_DATA", "").strip()
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir("diffusion-lightbox", appauthor=False))


def wildcards_folder(data: Path | None = None) -> Path:
    """Return where wildcards are looked for: LIGHTBOX_WILDCARDS, else the folder "wildcards" of
    the data folder.
    """
    named = os.environ.get("LIGHTBOX_WILDCARDS", "").strip()
    return Path(named).expanduser() if named else (data or data_folder()) / "wildcards"
