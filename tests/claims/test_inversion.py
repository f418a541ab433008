"""What Image to image says of DDIM inversion, on two samples by the bundled model.

dev/CLAIMS.md has the sentences, their sources and what all six samples gave.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.diffusion.inside.inversion import InversionError, inversion_errors
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings
from tests.core.diffusion.inside.taken_apart import finish

SAMPLES = Path(__file__).resolve().parents[2] / "ui" / "assets" / "samples"
PROMPTS = {"apple": "a red apple on a blue background", "house": "a house"}
STEPS = (5, 20)
SCALE = 3.0


@pytest.mark.parametrize("name", PROMPTS)
def test_more_steps_bring_the_source_back_at_guidance_1_alone(
    model: LoadedModel, name: str
) -> None:
    few, many = errors(model, name)
    assert many.rms_unguided < few.rms_unguided / 1.5
    assert many.rms_guided > 2 * many.rms_unguided, "above 1 it breaks"
    assert many.rms_guided > 0.7 * few.rms_guided, "and more steps do not mend it"


def errors(
    model: LoadedModel, name: str, steps: tuple[int, ...] = STEPS, scale: float = SCALE
) -> list[InversionError]:
    """One sample's error for each number of steps, with its prompt."""
    source = np.asarray(Image.open(SAMPLES / f"{name}.png").convert("RGB").resize((128, 128)))
    settings = GenerationSettings(
        prompt=PROMPTS.get(name, f"a {name}"),
        guidance_scale=scale,
        init_image=input_digest(source),
    )
    return finish(inversion_errors(model, settings, lambda digest: source, steps))
