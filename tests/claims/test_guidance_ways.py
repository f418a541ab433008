"""What the pages say of guidance's interval and methods, on runs of the bundled model.

dev/CLAIMS.md has the sentences, their sources and what sixteen runs gave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.settings import GenerationSettings

PROMPTS = ("a red apple on a blue background, flat style", "a cat, flat style", "an owl at night")
BASE = GenerationSettings(num_inference_steps=20, guidance_scale=5.0)
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "without the first fifth": {"guidance_start": 0.2},
    "without the last fifth": {"guidance_end": 0.8},
    "APG": {"guidance_method": "APG"},
    "CFG-Zero*": {"guidance_method": "CFG-Zero*"},
}


@pytest.fixture(scope="module")
def pictures(model: LoadedModel) -> dict[str, np.ndarray]:
    """Way -> (pictures, height, width, 3)."""
    cells = [
        replace(BASE, prompt=prompt, seed=seed, **way)
        for way in WAYS.values()
        for prompt in PROMPTS
        for seed in (1, 2)
    ]
    made = [np.asarray(one.image, float) for one in Engine(model).generate(cells)]
    groups = np.array(made).reshape(len(WAYS), -1, *made[0].shape)
    return dict(zip(WAYS, groups, strict=True))


def apart(pictures: dict[str, np.ndarray], way: str) -> float:
    """RMSE to the picture that is guided throughout, of 255."""
    squares = np.square(pictures[way] - pictures["whole"]).mean((1, 2, 3))
    return float(np.sqrt(squares).mean())


def clipped(pictures: np.ndarray) -> float:
    return float(np.isin(pictures, (0, 255)).mean())


def test_the_first_steps_need_guidance_more_than_the_last(pictures: dict[str, np.ndarray]) -> None:
    assert apart(pictures, "without the first fifth") > 2 * apart(
        pictures, "without the last fifth"
    )


def test_apg_clips_less_and_zero_star_stays_near(pictures: dict[str, np.ndarray]) -> None:
    assert clipped(pictures["APG"]) < clipped(pictures["whole"])
    assert apart(pictures, "CFG-Zero*") < apart(pictures, "APG") / 3
