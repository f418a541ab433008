"""A run taken apart is the strict run, and what it keeps is what the pipeline had in hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import Change
from core.diffusion.inside.branch import branch
from core.diffusion.inside.unrolled import look, unroll
from core.diffusion.models.load import LoadedModel, ModelError
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import SHORT, UNGUIDED, finish


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.mark.parametrize("name", ["DDIM", "Euler", "DPM++ 2M", "PNDM", "Heun", "Euler a"])
def test_it_is_the_strict_run(model: LoadedModel, engine: Engine, name: str) -> None:
    settings = replace(SHORT, scheduler=name)
    run = finish(unroll(model, settings))
    (made,) = engine.generate([settings], strict=True, record="latents")
    assert max_difference(run.image, made.image) == 0
    assert made.trajectory is not None
    assert np.array_equal(run.latents, made.trajectory.latents)
    assert np.array_equal(run.x0, made.trajectory.pred_original_sample)
    assert run.calls == SCHEDULERS[name].calls(SHORT.num_inference_steps)
    assert [record.sigma for record in made.trajectory.records] == list(run.sigmas[:-1])


def test_the_predicted_x0_of_each_call_is_decoded(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a snapshot of that call is; none where that would take too long."""
    run = finish(unroll(model, SHORT))
    assert len(run.x0_pictures) == run.calls
    engine = Engine(model)
    for call, picture in enumerate(run.x0_pictures):
        latents = torch.from_numpy(run.x0[call : call + 1])
        assert max_difference(picture, engine.decode(latents)) == 0, call
    assert max_difference(run.x0_pictures[0], run.x0_pictures[-1]) > 0
    monkeypatch.setattr("core.diffusion.inside.unrolled.MOST_DECODED", {"cpu": 1})
    few = finish(unroll(model, SHORT))
    assert few.x0_pictures == ()
    assert max_difference(few.image, run.image) == 0


def test_a_snapshot_is_left_aside(model: LoadedModel) -> None:
    whole = finish(unroll(model, SHORT))
    assert max_difference(finish(unroll(model, replace(SHORT, snapshot=2))).image, whole.image) == 0


def test_the_guidance_slider_at_the_runs_own_scale_is_the_recorded_x0(model: LoadedModel) -> None:
    for rescale in (0.0, 0.7):
        run = finish(unroll(model, replace(SHORT, guidance_rescale=rescale)))
        for call in range(run.calls):
            assert np.array_equal(look(run, call).x0, run.x0[call])
            assert np.array_equal(look(run, call, 5.0).eps_guided, run.pred_guided[call])
            assert not np.array_equal(look(run, call, 9.0).x0, run.x0[call])


def test_another_scale_is_what_a_run_with_it_predicts_first(model: LoadedModel) -> None:
    """At the first call nothing has happened yet: the slider's x0 is the other run's own."""
    run = finish(unroll(model, SHORT))
    other = finish(unroll(model, replace(SHORT, guidance_scale=9.0)))
    assert np.array_equal(look(run, 0, 9.0).x0, other.x0[0])


def test_the_slider_at_1_is_the_conditional_prediction(model: LoadedModel) -> None:
    run = finish(unroll(model, SHORT))
    seen = look(run, 2, 1.0)
    assert np.abs(seen.eps_guided - seen.eps_cond).max() < 1e-6


def test_predictions_are_the_unets(model: LoadedModel) -> None:
    run = finish(unroll(model, SHORT))
    pipe = model.pipeline("DDIM")
    cond, uncond = pipe.encode_prompt(SHORT.prompt, "cpu", 1, True, SHORT.negative_prompt)
    x = torch.from_numpy(run.x_vp[3:4]).repeat(2, 1, 1, 1)
    with torch.no_grad():
        out = model.unet(x, torch.tensor(run.timesteps[3]), torch.cat([uncond, cond]))[0]
    assert run.pred_uncond is not None
    assert np.array_equal(out[0].numpy(), run.pred_uncond[3])
    assert np.array_equal(out[1].numpy(), run.pred_cond[3])


def test_without_guidance_there_is_no_unconditional_prediction(model: LoadedModel) -> None:
    run = finish(unroll(model, UNGUIDED))
    assert run.pred_uncond is None
    assert run.negatives == ()
    seen = look(run, 1, 7.0)
    assert seen.eps_uncond is None
    assert np.array_equal(seen.x0, run.x0[1])


def test_tokens_have_their_places_ids_and_norms(model: LoadedModel) -> None:
    run = finish(unroll(model, replace(SHORT, num_inference_steps=1)))
    prompt = run.prompts[0]
    assert [place.text for place in prompt.tokens[:3]] == ["a", "red", "apple"]
    assert [place.position for place in prompt.places] == list(range(77))
    assert prompt.places[0].kind == "start"
    assert prompt.places[len(prompt.tokens) + 1].kind == "end"
    assert {place.kind for place in prompt.places[len(prompt.tokens) + 2 :]} == {"padding"}
    ids = model.tokenizer(SHORT.prompt).input_ids
    assert [place.id for place in prompt.places[: len(ids)]] == ids
    with torch.no_grad():
        embedding = model.pipeline().encode_prompt(SHORT.prompt, "cpu", 1, False)[0][0]
    norms = [place.norm for place in prompt.places]
    assert np.allclose(norms, embedding.norm(dim=-1).numpy(), atol=1e-5)
    (negative,) = run.negatives
    assert [place.text for place in negative.tokens] == ["yellow"]


def test_a_prompt_too_long_says_what_was_cut(model: LoadedModel) -> None:
    long = replace(SHORT, num_inference_steps=1, prompt=" ".join(["apple"] * 80))
    prompt = finish(unroll(model, long)).prompts[0]
    assert len(prompt.tokens) == 75
    assert prompt.cut_off == " ".join(["apple"] * 5)
    assert prompt.places[76].kind == "end"


def test_the_noise_is_the_seeds(model: LoadedModel) -> None:
    run = finish(unroll(model, replace(SHORT, scheduler="Euler", num_inference_steps=1)))
    drawn = torch.randn((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(3))
    assert np.array_equal(run.noise, drawn[0].numpy())


def test_a_run_that_would_fill_the_memory_is_refused(model: LoadedModel) -> None:
    with pytest.raises(SettingsError, match="use at most"):
        next(unroll(model, replace(SHORT, num_inference_steps=900, width=1024, height=1024)))


def test_the_model_is_left_as_it_was(model: LoadedModel, engine: Engine) -> None:
    before = engine.generate([SHORT], strict=True)[0].image
    finish(unroll(model, SHORT))
    assert max_difference(engine.generate([SHORT], strict=True)[0].image, before) == 0


@pytest.mark.parametrize("work", [unroll, lambda *of: branch(*of, Change(start=1))])
def test_a_step_without_memory_ends_with_its_reason(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, work: Any
) -> None:
    """The cell stays where it is: a loop that waits for its end would never come back."""

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("diffusers.DDIMScheduler.step", full)
    with pytest.raises(ModelError, match="Out of memory"):
        finish(work(model, SHORT))
