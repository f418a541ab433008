"""Every way to guide, taken apart: what is kept, looked at and branched is the strict run's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import Change
from core.diffusion.inside.attention import attend
from core.diffusion.inside.branch import branch
from core.diffusion.inside.effects import effects
from core.diffusion.inside.unrolled import look, unroll
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import guided_calls
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import SHORT, finish

WAYS: dict[str, dict[str, Any]] = {
    "interval": {"guidance_start": 0.3, "guidance_end": 0.8},
    "APG": {"guidance_method": "APG", "apg_norm_threshold": 3.0, "guidance_start": 0.2},
    "CFG-Zero*": {"guidance_method": "CFG-Zero*", "zero_init_steps": 1},
    "CFG++": {"guidance_method": "CFG++", "guidance_scale": 0.6, "scheduler": "DDIM"},
    "PAG": {"guidance_method": "PAG", "pag_layers": "up", "guidance_end": 0.6},
    "PAG alone": {"guidance_method": "PAG", "pag_layers": "up", "guidance_scale": 1.0},
    "below 1": {"guidance_scale": 0.5, "guidance_below_1": True},
}


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.mark.parametrize("way", WAYS)
def test_a_run_taken_apart_is_the_strict_run(way: str, model: LoadedModel, engine: Engine) -> None:
    settings = replace(SHORT, **WAYS[way])
    run = finish(unroll(model, settings))
    (made,) = engine.generate([settings], strict=True)
    assert max_difference(run.image, made.image) == 0
    acts = guided_calls(settings, run.calls)
    assert run.guided == tuple(call in acts for call in range(run.calls))
    for call in range(run.calls):
        seen = look(run, call)
        assert np.allclose(seen.x0, run.x0[call], atol=1e-5), call
        assert (seen.eps_uncond is not None) == (call in acts and settings.uses_guidance)
    changed = look(run, acts[-1], 0.25 if way == "CFG++" else 9.0)
    differs = float(np.abs(changed.x0 - run.x0[acts[-1]]).max()) > 1e-3
    assert differs == settings.uses_guidance


@pytest.mark.parametrize("way", WAYS)
def test_a_branch_without_a_change_is_the_strict_run(
    way: str, model: LoadedModel, engine: Engine
) -> None:
    settings = replace(SHORT, **WAYS[way])
    (made,) = engine.generate([settings], strict=True)
    same = finish(branch(model, settings, Change(start=2)))
    assert max_difference(same.image, made.image) == 0
    other = finish(branch(model, settings, Change(start=1, prompt="a yellow star")))
    assert max_difference(other.image, made.image) > 0


def test_guidance_turned_off_by_a_branch_is_an_interval(model: LoadedModel, engine: Engine) -> None:
    """Two ways to say the same: a branch at call k, and an interval that ends there."""
    calls = SHORT.num_inference_steps
    half = replace(SHORT, guidance_end=2 / calls)
    assert guided_calls(half, calls) == range(2)
    (made,) = engine.generate([half], strict=True)
    off = finish(branch(model, SHORT, Change(start=2, guidance_scale=1.0)))
    assert max_difference(off.image, made.image) == 0


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_attention_is_that_of_the_prompts_row(scale: float, model: LoadedModel) -> None:
    """The perturbed row, which comes after it, looks elsewhere: at a scale of next to nothing the
    run is the plain one, and so are its maps.
    """
    plain = replace(SHORT, guidance_scale=scale)
    pag = replace(plain, guidance_method="PAG", pag_layers="up", pag_scale=1e-6)
    expected, found = (finish(attend(model, one)).maps for one in (plain, pag))
    assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("way", ["interval", "PAG", "PAG alone"])
def test_attention_and_effects_of_every_number_of_rows(way: str, model: LoadedModel) -> None:
    """Each works with one, two and three rows a call."""
    settings = replace(SHORT, **WAYS[way])
    found = finish(attend(model, settings))
    assert np.allclose(found.maps.sum(0), 1, atol=1e-3)
    words = finish(effects(model, settings))
    assert max_difference(words.image, found.image) == 0
    assert all(float(word.on_x0.max()) > 0 for word in words.words)
