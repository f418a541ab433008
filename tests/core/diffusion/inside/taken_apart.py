"""Running a task's generator to its end, as the worker does, and settings that are quick."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TypeVar

from core.diffusion.settings import GenerationSettings

T = TypeVar("T")

SHORT = GenerationSettings(
    prompt="a red apple on a blue background, flat style",
    negative_prompt="yellow",
    seed=3,
    num_inference_steps=6,
    guidance_scale=5.0,
    scheduler="DDIM",
)
UNGUIDED = replace(SHORT, guidance_scale=1.0)


def finish(work: Generator[tuple[int, int], None, T]) -> T:
    """The result; what is yielded on the way only ever grows and stays within its total."""
    before = 0
    while True:
        try:
            done, total = next(work)
        except StopIteration as end:
            return end.value
        assert before <= done <= total
        before = done
