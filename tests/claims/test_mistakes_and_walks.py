"""What is said of mistakes and of walks through noise, on runs: see dev/CLAIMS.md."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.inside.mistakes import make_mistake
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.settings import GenerationSettings
from core.exports.likeness import evenness
from core.output.numbers.metrics import rmse
from tests.core.diffusion.inside.taken_apart import finish

PROMPTS = ("a red apple on a blue background, flat style", "a cat, flat style", "a rocket")
BASE = GenerationSettings(num_inference_steps=10, guidance_scale=3.0, seed=1)


def test_latents_go_beyond_what_clip_sample_leaves(model: LoadedModel) -> None:
    cells = [replace(BASE, prompt=prompt, scheduler="DDIM") for prompt in PROMPTS]
    for made in Engine(model).generate(cells, record="latents"):
        assert made.trajectory is not None
        assert made.trajectory.pred_original_sample is not None
        beyond = np.abs(made.trajectory.pred_original_sample) > 1
        assert beyond.mean((1, 2, 3)).min() > 0.03, "at every step"


def test_a_decoder_that_gets_weak_latents_paints_pale(model: LoadedModel) -> None:
    for prompt in PROMPTS:
        made = finish(make_mistake(model, replace(BASE, prompt=prompt), "unscaled"))
        right, wrong = (np.asarray(one, float) for one in (made.right, made.wrong))
        assert wrong.std() < right.std()


def test_the_mean_of_two_noises_makes_another_picture(model: LoadedModel) -> None:
    for prompt in PROMPTS:
        made = finish(make_mistake(model, replace(BASE, prompt=prompt), "lerp"))
        assert rmse(made.right, made.wrong) > 3


def test_a_walk_through_noise_changes_little_and_then_jumps(model: LoadedModel) -> None:
    found: list[float] = []
    for prompt in PROMPTS[:2]:
        walk = [
            replace(BASE, prompt=prompt, variation_seed=5, variation_strength=step / 16)
            for step in range(17)
        ]
        images = [one.image for one in Engine(model).generate(walk)]
        found.append(evenness([rmse(one, other) for one, other in pairwise(images)]))
    assert found == pytest.approx([3.3, 3.4], abs=1.3), "the longest step over the mean"
