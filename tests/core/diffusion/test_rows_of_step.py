"""The UNet rows of a step, as the status line says them: those of its calls, not the most."""

from __future__ import annotations

from dataclasses import replace

from core.diffusion.engine import Engine, Request
from core.diffusion.models.load import load_model
from core.diffusion.settings import GenerationSettings

BASE = GenerationSettings(
    prompt="a red apple", width=64, height=64, scheduler="DDIM", num_inference_steps=4
)


def rows_of_steps(*wanted: GenerationSettings) -> list[int]:
    engine = Engine(load_model("bundled"), max_rows=32)
    assert engine.rows_of_step == 0
    for key, one in enumerate(wanted):
        engine.admit(Request(key=str(key), settings=one))
    found: list[int] = []
    while engine.active:
        engine.step()
        found.append(engine.rows_of_step)
    return found


def test_guidance_that_has_not_begun_or_has_ended_fills_no_rows() -> None:
    guided = replace(BASE, guidance_scale=3.0, guidance_start=0.25, guidance_end=0.75)
    plain = replace(BASE, guidance_scale=1.0)
    assert rows_of_steps(guided) == [1, 2, 2, 1]
    assert rows_of_steps(guided, plain) == [2, 3, 3, 2]


def test_each_part_of_a_joined_prompt_is_a_row_and_images_of_one_run_share_theirs() -> None:
    joined = replace(BASE, prompt="an apple AND a pear AND a plum", guidance_scale=3.0)
    early = replace(BASE, guidance_scale=1.0, snapshot=2)
    late = replace(BASE, guidance_scale=1.0)
    assert rows_of_steps(joined) == [4, 4, 4, 4]
    assert rows_of_steps(late, early) == [1, 1, 1, 1]
