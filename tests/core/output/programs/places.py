"""What a person does first with a program: write where the model is on this computer."""

from __future__ import annotations

import re
from pathlib import Path


def placed(program: str, model: Path) -> str:
    """The program (or a notebook's JSON) with the model's place filled in."""
    text, count = re.subn(r"model = '[^'\n]*'", lambda _: f"model = {str(model)!r}", program)
    assert count == 1, program
    return text
