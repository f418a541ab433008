"""Prompts that change between steps, BREAK and AND, against diffusers and independent loops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.prompt.texts import (
    MOST_PARTS,
    every_text,
    is_one_text,
    last_words,
    parts_of,
    prompts_by_step,
    switches,
)
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.settings import GenerationSettings
from core.sweeps.work import runs_of
from tests.conftest import max_difference

BASE = GenerationSettings(
    prompt="a red apple on a table",
    negative_prompt="blue",
    seed=5,
    width=64,
    height=64,
    num_inference_steps=6,
    guidance_scale=5.0,
    scheduler="DDIM",
)
NO_FINGERPRINT = "0" * 64


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a cat", (("a cat", 1.0),)),
        ("a cat :1.5", (("a cat :1.5", 1.0),)),
        ("a cat AND a dog", (("a cat", 1.0), (" a dog", 1.0))),
        ("a cat :1.2 AND a dog:.5 AND x: -1 ", (("a cat", 1.2), (" a dog", 0.5), (" x", -1.0))),
        ("a (cat:1.2) AND [b:c:0.5]", (("a (cat:1.2)", 1.0), (" [b:c:0.5]", 1.0))),
        ("AND", (("", 1.0), ("", 1.0))),
        ("sand AND 16:9:2.", (("sand", 1.0), (" 16:9", 2.0))),
        ("BAND and HAND", (("BAND and HAND", 1.0),)),
    ],
)
def test_and_takes_a_prompt_apart(prompt: str, parts: tuple[tuple[str, float], ...]) -> None:
    assert parts_of(prompt) == parts


def test_each_text_and_when_it_is_there() -> None:
    assert every_text("a [b|c] d", 5) == (("1, 3, 5", "a b d"), ("2, 4", "a c d"))
    assert every_text("[a:b:0.5] AND c", 4) == (("1-2", "a"), ("3-4", "b"), ("", " c"))
    assert every_text("a AND b", 4, "negative_prompt") == (("", "a AND b"),)
    assert every_text("a cat", 3) == (("", "a cat"),)


def test_switches_are_the_calls_at_which_a_text_is_another() -> None:
    settings = replace(BASE, prompt="[a:b:0.5] [c:d:2]", negative_prompt="[x:y:5]")
    assert switches(settings, 6) == {2: "a d", 3: "b d", 5: "b d"}
    assert switches(replace(settings, scheduler="Heun"), 11) == {4: "a d", 6: "b d", 10: "b d"}
    assert switches(replace(settings, scheduler="PNDM"), 7) == {3: "a d", 4: "b d", 6: "b d"}
    assert switches(BASE, 6) == switches(settings, 0) == {}
    assert is_one_text(BASE)
    assert not is_one_text(settings)
    assert not is_one_text(replace(BASE, prompt="a AND b"))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a (red:1.2) apple", "a (red:1.2) apple"),
        ("a [red:blue:0.5] apple", "a blue apple"),
        ("a [red:blue:9] apple", "a red apple"),
        ("a [red|blue] apple", "a blue apple"),
        ("a cat BREAK on a table AND an owl :0.5 AND fog :-1", "a cat on a table, an owl"),
    ],
)
def test_a_picture_is_scored_by_what_it_was_told_last(prompt: str, words: str) -> None:
    assert last_words(replace(BASE, prompt=prompt), 6) == words


@torch.no_grad()
def by_pipeline(model: LoadedModel, settings: GenerationSettings) -> Any:
    """diffusers' pipeline, whose prompt is changed by its own callback after each call."""
    pipe, row = model.pipeline(settings.scheduler), SCHEDULERS[settings.scheduler]
    texts = prompts_by_step(settings, settings.num_inference_steps)

    def embeddings(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        now = texts[min(step, len(texts)) - 1]
        return pipe.encode_prompt(now.parts[0][0], "cpu", 1, True, negative_prompt=now.negative)

    def change(pipe: Any, call: int, timestep: Any, found: dict[str, Any]) -> dict[str, Any]:
        cond, uncond = embeddings(row.step_of(call + 1))
        return {"prompt_embeds": torch.cat([uncond, cond])}

    cond, uncond = embeddings(1)
    return pipe(
        prompt_embeds=cond,
        negative_prompt_embeds=uncond,
        width=settings.width,
        height=settings.height,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
        callback_on_step_end=change,
        callback_on_step_end_tensor_inputs=["prompt_embeds"],
    ).images[0]


@pytest.mark.parametrize("scheduler", ["DDIM", "DPM++ 2M", "Heun", "PNDM", "Euler a"])
def test_a_changing_prompt_is_diffusers_callback_to_the_last_bit(
    scheduler: str, model: LoadedModel
) -> None:
    settings = replace(
        BASE,
        scheduler=scheduler,
        prompt="a [red apple:blue robot:0.5] on a [table|chair]",
        negative_prompt="[blue:yellow:2]",
    )
    own = Engine(model).generate([settings], strict=True)[0].image
    assert max_difference(own, by_pipeline(model, settings)) == 0
    still = Engine(model).generate([BASE], strict=True)[0].image
    assert max_difference(own, still) > 3


@torch.no_grad()
def test_break_is_the_chunks_side_by_side(model: LoadedModel) -> None:
    """The pipeline with both chunks' embeddings, and the negative prompt's twice."""
    settings = replace(BASE, prompt="a red apple BREAK on a blue table")
    pipe = model.pipeline("DDIM")
    found = [
        pipe.encode_prompt(text, "cpu", 1, True, negative_prompt="blue")
        for text in ("a red apple", "on a blue table")
    ]
    image = pipe(
        prompt_embeds=torch.cat([cond for cond, _ in found], 1),
        negative_prompt_embeds=torch.cat([uncond for _, uncond in found], 1),
        width=64,
        height=64,
        num_inference_steps=6,
        guidance_scale=5.0,
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]
    own = Engine(model).generate([settings], strict=True)[0].image
    assert max_difference(own, image) == 0
    together = replace(settings, prompt="a red apple on a blue table")
    assert max_difference(own, Engine(model).generate([together], strict=True)[0].image) > 3


@torch.no_grad()
def test_a_text_that_is_told_twice_says_the_same(model: LoadedModel) -> None:
    x = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    once, _ = model.pipeline("DDIM").encode_prompt("a red apple", "cpu", 1, False)
    said = [model.unet(x, 500, given).sample for given in (once, once.repeat(1, 3, 1))]
    assert torch.allclose(*said, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("scale", [5.0, 1.0])
@pytest.mark.parametrize("end", [1.0, 0.5])
def test_and_adds_up_the_differences(scale: float, end: float, model: LoadedModel) -> None:
    """An independent loop of Liu et al. 2022, eq. 11, whose every prediction is a call of its own:
    without guidance it has scale 1.
    """
    texts, weights = ("a red apple", "a blue robot", "an owl"), (1.0, 0.7, -0.4)
    prompt = " AND ".join(f"{text} :{w}" for text, w in zip(texts, weights, strict=True))
    settings = replace(BASE, prompt=prompt, guidance_scale=scale, guidance_end=end)
    pipe = model.pipeline("DDIM")
    pipe.scheduler.set_timesteps(6)
    uncond, *conds = (
        pipe.encode_prompt(text, "cpu", 1, False)[0] for text in (settings.negative_prompt, *texts)
    )
    latents = torch.randn((1, 4, 8, 8), generator=torch.Generator("cpu").manual_seed(5))
    for call, timestep in enumerate(pipe.scheduler.timesteps):
        guidance = scale if call < 6 * end else 1.0
        away = pipe.unet(latents, timestep, uncond).sample
        towards = [pipe.unet(latents, timestep, cond).sample - away for cond in conds]
        pred = away + guidance * sum(w * one for w, one in zip(weights, towards, strict=True))
        latents = pipe.scheduler.step(pred, timestep, latents, return_dict=False)[0]
    batch = Batch(model, max_rows=8)
    cell = batch.admit(settings, strict=True, record="none")
    while not cell.is_done:
        batch.step()
    assert torch.allclose(cell.latents, latents, atol=2e-4)


MARKED = (
    "a [red:blue:0.5] apple",
    "a red apple BREAK a robot [on a table::3]",
    "a red apple AND a robot :0.5",
    "a [red|blue] apple AND [a robot:an owl:2] :0.5 AND a table BREAK green",
)


def test_cells_with_and_without_marks_share_a_batch(model: LoadedModel) -> None:
    wanted = [replace(BASE, prompt=prompt) for prompt in (*MARKED, BASE.prompt)]
    together = Engine(model, max_rows=16).generate(wanted)
    for one in together:
        alone = Engine(model).generate([one.settings], strict=True)[0]
        assert max_difference(one.image, alone.image) <= 2


@pytest.mark.parametrize("prompt", MARKED)
@pytest.mark.parametrize(
    "more", [{}, {"guidance_scale": 1.0}, {"guidance_end": 0.5}, {"guidance_method": "APG"}]
)
def test_the_plan_counts_the_rows_that_are_run(
    prompt: str, more: dict[str, Any], model: LoadedModel
) -> None:
    settings = replace(BASE, prompt=prompt, **more)
    batch = Batch(model, max_rows=8)
    cell = batch.admit(settings)
    run = 0
    while not cell.is_done:
        told = sum(len(cell.told(kind)) for kind in ("uncond", "cond", "perturbed"))
        assert told == len(cell.rows_at(cell.call))
        run += told
        batch.step()
    assert runs_of([settings], {settings.model: model.info}) == [(settings, run)]


def digest(prompt: str, **more: Any) -> str:
    return replace(BASE, prompt=prompt, **more).digest(NO_FINGERPRINT)


def test_prompts_that_are_told_the_same_are_one_picture() -> None:
    assert digest("[a:b:0.5]") == digest("[a:b:3]") == digest("[a:[b:c:9]:.5]")
    assert digest("[a:b:9]") == digest("a")
    assert digest("[a:b:-1]") == digest("b")
    assert digest("[a|a]") == digest("a")
    assert digest("a AND b") == digest("a AND b:1")
    assert digest("a (b) BREAK c") == digest("a (b:1.1)  BREAK  c")


def test_other_prompts_are_other_pictures() -> None:
    prompts = ["[a:b:3]", "[a:b:2]", "[a|b]", "(a|b:0.909091)", "[a:b:3] c", "a", "b"]
    prompts += ["a AND b", "a AND b:0.5", "a and b", "a BREAK b", "a break b", "a b", "b BREAK a"]
    for more in ({}, {"init_image": "1" * 64, "match_noise": True}):
        assert len({digest(prompt, **more) for prompt in prompts}) == len(prompts)


def test_the_negative_prompt_acts_without_guidance_where_and_joins() -> None:
    joined = replace(BASE, prompt="a AND b", guidance_scale=1.0)
    assert joined.matters("negative_prompt")
    assert not joined.matters("guidance_scale")
    assert not replace(joined, prompt="a").matters("negative_prompt")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": " AND ".join("a" * (MOST_PARTS + 1))}, "at most 8 are run"),
        ({"prompt": " BREAK ".join("a" * (MOST_PARTS + 1))}, "at most 8 are read"),
        ({"prompt": "a AND b", "guidance_method": "PAG"}, "PAG is not available with AND"),
    ],
)
def test_what_cannot_be_run_is_said(changes: dict[str, Any], words: str) -> None:
    (problem,) = replace(BASE, **changes).validate()
    assert words in str(problem)
