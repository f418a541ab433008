"""The web UI's "Skip Early CFG" and our guidance_start: the same calls are without guidance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion.recipe.guidance.methods import guided_calls
from core.diffusion.recipe.schedule import step_range
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.output.texts.a1111.parameters import Parsed, a1111_text, parse_a1111

LINE = "a cat\nSteps: {steps}, Sampler: {sampler}, CFG scale: 7, Seed: 3, Skip Early CFG: {share}"


def read(text: str) -> Parsed:
    parsed = parse_a1111(text)
    assert parsed is not None
    return parsed


def first_guided(settings: GenerationSettings) -> int:
    calls = step_range(settings).calls(SCHEDULERS[settings.scheduler])
    return guided_calls(settings, calls).start


def web_ui_skips(share: float, total_steps: int) -> int:
    """`sd_samplers_cfg_denoiser.py`, call by call."""
    step = 0
    while step < total_steps and share != 0.0 and step / total_steps <= share:
        step += 1
    return step


def share_in(text: str) -> str | None:
    key = ", Skip Early CFG: "
    return text.partition(key)[2].split(",")[0] if key in text else None


@given(st.integers(2, 150), st.integers(0, 100), st.sampled_from(["Euler", "DPM++ 2M", "DDIM"]))
def test_as_many_calls_are_skipped_as_in_the_web_ui(steps: int, percent: int, sampler: str) -> None:
    parsed = read(LINE.format(steps=steps, sampler=sampler, share=percent / 100))
    settings = GenerationSettings(**parsed.values)
    skipped = web_ui_skips(percent / 100, steps)
    if skipped < steps:
        assert first_guided(settings) == skipped
    else:
        assert settings.guidance_start == 1, "no call has guidance"
    assert not [note for note in parsed.notes if "Skip" in note]


@given(st.integers(1, 150), st.floats(0, 0.99), st.sampled_from(["Euler", "Heun", "PNDM", "DPM2"]))
def test_what_is_written_skips_as_many_calls_there(steps: int, start: float, name: str) -> None:
    settings = GenerationSettings(
        prompt="a cat",
        num_inference_steps=steps,
        scheduler=name,
        guidance_start=start,
        guidance_scale=7,
    )
    share, skipped = share_in(a1111_text(settings, "m", "h")), first_guided(settings)
    total = steps * 2 if name in ("Heun", "DPM2") else steps
    if skipped == 0:
        assert share is None
    else:
        assert share is not None
        assert web_ui_skips(float(share), total) == min(skipped, total)
        assert len(share) <= len("0.0001")


def test_a_few_that_are_known() -> None:
    """20 steps at 0.2: calls 0 to 4 are skipped, the fifth of them at 4 / 20 <= 0.2."""
    parsed = read(LINE.format(steps=20, sampler="Euler", share=0.2))
    assert parsed.values["guidance_start"] == 0.25
    text = a1111_text(GenerationSettings(**parsed.values), "m", "h")
    assert ("Guidance start: 0.25" in text, share_in(text)) == (True, "0.2")
    assert read(text).values["guidance_start"] == 0.25
    twice = read(LINE.format(steps=10, sampler="Heun", share=0.2)).values
    assert first_guided(GenerationSettings(**twice)) == 5, "Heun's total_steps are 20 there"


def test_image_to_image_is_counted_by_the_steps_that_the_web_ui_runs() -> None:
    settings = GenerationSettings(
        prompt="a cat", num_inference_steps=20, guidance_scale=7, guidance_start=0.4
    )
    source = replace(settings, init_image="0" * 64, strength=0.5)
    share = share_in(a1111_text(source, "m", "h"))
    assert first_guided(source) == 4  # of 10
    assert share is not None
    assert web_ui_skips(float(share), 11) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LINE.format(steps=20, sampler="Euler", share="some"), "(some) is not a number"),
        (LINE.format(steps=20, sampler="Euler", share="nan"), "(nan) is outside 0 to 1"),
        (LINE.format(steps=20, sampler="Euler", share="3"), "(3) is outside 0 to 1"),
        (LINE.format(steps=20, sampler="Unheard of", share="0.2"), "(0.2) is left out: the text"),
        ("a AND b" + LINE.format(steps=20, sampler="Euler", share="0.2")[5:], "with AND"),
    ],
)
def test_what_is_not_used_is_said(text: str, words: str) -> None:
    parsed = read(text)
    assert "guidance_start" not in parsed.values
    assert [note for note in parsed.notes if words in note and "Skip Early CFG" in note]


def test_with_and_nothing_is_written_and_without_an_early_share_neither() -> None:
    base = GenerationSettings(prompt="a cat", guidance_scale=7, num_inference_steps=20)
    for settings in (
        base,
        replace(base, guidance_start=0.04),
        replace(base, guidance_start=0.5, guidance_scale=1),
        replace(base, guidance_start=0.5, prompt="a cat AND a dog"),
    ):
        assert share_in(a1111_text(settings, "m", "h")) is None, settings


def test_the_other_shares_of_guidance_are_named_as_left_out() -> None:
    line = LINE.format(steps=20, sampler="Euler", share=0) + ", NGMS: 2, NGMS all steps: True"
    parsed = read(line)
    assert parsed.values["guidance_start"] == 0
    assert any("left out: NGMS (2), NGMS all steps (True)" in note for note in parsed.notes)
