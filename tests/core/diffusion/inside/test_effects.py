"""The effect of a word: the same run without it, and the predicted x0 by a loop on diffusers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.effects import TOGETHER, effects
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.prompt.words import MOST_WORDS, with_other, words_of
from core.diffusion.settings import SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import SHORT, UNGUIDED, finish

QUICK = replace(SHORT, prompt="a red apple", num_inference_steps=3)
ROUNDING = 2  # of 255: rows that go through the UNet together are summed in another order


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a red apple, flat style", "a red apple flat style"),
        ("(red:1.3) [apple] 4k 12", "red apple"),
        ("half-moon l'été grüße 犬", "half-moon l'été grüße 犬"),
        ("  ", ""),
        ("1.5, (:2)", ""),
    ],
)
def test_words_of_a_prompt(prompt: str, words: str) -> None:
    found = words_of(prompt)
    assert " ".join(word.text for word in found) == words
    assert all(prompt[word.start : word.end] == word.text for word in found)


def test_one_word_goes_and_the_rest_stays() -> None:
    prompt = "a (red:1.3) apple and a red owl, flat"
    words = words_of(prompt)
    assert with_other(prompt, words[1], "blue") == "a (blue:1.3) apple and a red owl, flat"
    assert with_other(prompt, words[5]) == "a (red:1.3) apple and a owl, flat"
    assert with_other(prompt, words[6]) == "a (red:1.3) apple and a red, flat"
    assert with_other(prompt, words[7]) == "a (red:1.3) apple and a red owl,"
    assert with_other("owl", words_of("owl")[0]) == ""


@pytest.mark.parametrize("settings", [QUICK, replace(UNGUIDED, prompt="a red apple")])
def test_each_picture_is_the_run_without_the_word(
    model: LoadedModel, engine: Engine, settings: object
) -> None:
    assert isinstance(settings, type(SHORT))
    found = finish(effects(model, settings))
    assert max_difference(found.image, engine.generate([settings], strict=True)[0].image) == 0
    assert [one.word for one in found.words] == ["a", "red", "apple"]
    assert [one.prompt for one in found.words] == ["red apple", "a apple", "a red"]
    for one in found.words:
        alone = engine.generate([replace(settings, prompt=one.prompt)], strict=True)[0].image
        assert max_difference(one.image, alone) <= ROUNDING, one.word
        assert max_difference(one.image, found.image) > 20, one.word


@torch.no_grad()
def test_the_effect_on_x0_is_that_of_a_loop_on_diffusers(model: LoadedModel) -> None:
    """DDIM's loop by hand; at each call the guided x0 of both prompts, from the same latents."""
    pipe = model.pipeline("DDIM")
    cond, uncond = pipe.encode_prompt(QUICK.prompt, "cpu", 1, True, QUICK.negative_prompt)
    other, _ = pipe.encode_prompt("a blue apple", "cpu", 1, True, QUICK.negative_prompt)
    scheduler = pipe.scheduler
    scheduler.set_timesteps(QUICK.num_inference_steps)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(QUICK.seed))
    expected: list[np.ndarray] = []
    for t in scheduler.timesteps:
        abar = scheduler.alphas_cumprod[t]
        eps_u, eps_c, eps_o = (model.unet(latents, t, e).sample for e in (uncond, cond, other))
        gap = QUICK.guidance_scale * (eps_o - eps_c) * ((1 - abar) / abar).sqrt()
        expected.append(gap.square().mean(1).sqrt()[0].numpy())
        guided = eps_u + QUICK.guidance_scale * (eps_c - eps_u)
        latents = scheduler.step(guided, t, latents).prev_sample
    found = finish(effects(model, QUICK, "blue"))
    assert found.calls == (0, 1, 2)
    red = next(one for one in found.words if one.word == "red")
    assert red.prompt == "a blue apple"
    np.testing.assert_allclose(red.on_x0, np.stack(expected), rtol=2e-3, atol=2e-4)


def test_a_word_replaced_by_itself_does_nothing(model: LoadedModel) -> None:
    found = finish(effects(model, QUICK, "red"))
    itself = next(one for one in found.words if one.word == "red")
    assert max_difference(itself.image, found.image) <= ROUNDING
    assert itself.on_x0.max() < 1e-4


def test_a_long_prompt_says_which_words_were_left(model: LoadedModel) -> None:
    names = [f"word{chr(97 + i)}" for i in range(MOST_WORDS + 2)]
    settings = replace(QUICK, prompt=" ".join(names), num_inference_steps=1)
    found = finish(effects(model, settings))
    assert len(found.words) == MOST_WORDS > TOGETHER
    assert found.not_measured == tuple(names[MOST_WORDS:])
    assert found.calls == (0,)


def test_no_word_is_an_error_that_names_the_prompt(model: LoadedModel) -> None:
    with pytest.raises(SettingsError, match="no word"):
        finish(effects(model, replace(QUICK, prompt="1.5, (:2)")))
