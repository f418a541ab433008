"""The command of an installed wheel: `lightbox` opens the app, and `lightbox sweep` and the others
are those of `python -m core`.

In a wheel this file is the package `diffusion_lightbox`, and core, ui, pages and models lie inside
it: names as common as theirs do not belong at the top of site-packages.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Run the command line of the folder that this file lies in."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from core.__main__ import main as command_line

    return command_line(sys.argv[1:] or ["app"], program="lightbox")
