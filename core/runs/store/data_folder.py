"""Where images are kept."""

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
