"""Runs in one figure: which setting explains their curves, and their short names."""

from __future__ import annotations

import pytest

from core.output.figures.step_runs import explaining, short_labels
from tests.core.output.figures.step_doubles import step_run

GUIDANCE, SEEDS = (2.0, 5.0, 9.0), (1, 2, 3)


@pytest.mark.parametrize(("moves", "expected"), [("guidance_scale", 0), ("seed", 1)])
def test_the_setting_that_moves_the_curves_explains_them(moves: str, expected: int) -> None:
    """Each in turn; the other lifts them only a little. The order of choice has no part in it."""
    runs = [
        step_run(
            f"{guidance} {seed}",
            guidance_scale=guidance,
            seed=seed,
            scale=1 + (guidance + 0.01 * seed if expected == 0 else seed + 0.01 * guidance),
        )
        for guidance in GUIDANCE
        for seed in SEEDS
    ]
    assert explaining(runs) == moves
    assert explaining(runs[::-1]) == moves


def test_a_value_of_its_own_in_every_run_explains_nothing() -> None:
    """Six seeds would always fit six curves: the guidance of two groups is what is shown."""
    runs = [
        step_run(str(seed), seed=seed, guidance_scale=scale, scale=scale + 0.1 * seed)
        for seed, scale in enumerate((2.0, 2.0, 2.0, 7.0, 7.0, 7.0))
    ]
    assert explaining(runs) == "guidance_scale"
    assert explaining([runs[0], runs[3]]) == "seed", "nothing to compare: the first that differs"
    assert explaining(runs[:1]) is None


def test_runs_of_other_lengths_and_without_guidance_are_compared() -> None:
    runs = [
        step_run(f"{steps} {seed}", steps=steps, num_inference_steps=steps, seed=seed, scale=steps)
        for steps in (1, 4, 9)
        for seed in SEEDS
    ]
    runs.append(step_run("off", guidance_scale=1.0, num_inference_steps=4, seed=1))
    assert explaining(runs) == "num_inference_steps"


def test_short_names_are_the_values_alone() -> None:
    runs = [step_run(str(n), guidance_scale=2.5 * n, seed=n) for n in (1, 2)]
    assert short_labels(runs) == ("Seed · Guidance scale", ["1 · 2.5", "2 · 5"])
    assert short_labels(runs[:1]) == ("", [""])
