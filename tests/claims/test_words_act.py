"""What Step by step says of attention and effect, on some of the held-out scenes.

dev/CLAIMS.md has the sentence and what sixty of them gave.
"""

from __future__ import annotations

from core.diffusion.models.loaded import LoadedModel
from training.results.words import look_at

SCENES = (("apple", "blue"), ("owl", "yellow"), ("robot", "green"))


def test_the_effect_of_a_background_word_is_on_the_background(model: LoadedModel) -> None:
    for seed, (noun, background) in enumerate(SCENES):
        found = look_at(model, noun, background, seed, steps=8)
        area = found["area"]
        assert found["background: effect on the picture"] < 0.8 * area, noun
        assert found["object: effect on the picture"] > 1.5 * area, noun
        assert found["object: attention"] > area, noun
        assert found["background: attention"] > found["background: effect on the picture"], noun
