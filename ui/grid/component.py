"""The grid of pictures in the browser: of a sweep's cells, or of pictures that flow."""

from __future__ import annotations

from pathlib import Path

from streamlit.components.v2 import component

_FOLDER = Path(__file__).parents[1] / "components"

mount_grid = component(
    "lightbox_sweep_grid",
    html=(_FOLDER / "grid.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "grid.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "grid.js").read_text(encoding="utf-8"),
)
