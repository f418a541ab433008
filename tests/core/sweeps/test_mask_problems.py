"""A plan says what becomes of each mask before anything runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from core.diffusion.models.load import describe
from core.diffusion.recipe.images import InputError, input_digest
from core.diffusion.settings import GenerationSettings
from core.sweeps.axis import parse_axis
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep

MASK = np.zeros((128, 128), np.uint8)
MASK[40:60, 40:80] = 255
THIN = np.zeros((128, 128), np.uint8)
THIN[42:45, :] = 255
INPUTS = {input_digest(mask): mask for mask in (MASK, THIN)}
BASE = GenerationSettings(init_image="5e" * 32, mask_image=input_digest(MASK))


def nothing(digests: Collection[str]) -> Collection[str]:
    return ()


def plan(base: GenerationSettings, x: str, values: str, y: tuple[str, str] | None = None) -> Plan:
    down = parse_axis(*y) if y else None
    sweep = Sweep(base=base, x=parse_axis(x, values), y=down)
    return make_plan(sweep, describe=describe, holds=nothing, read_source=INPUTS.__getitem__)


def test_each_value_that_leaves_nothing_of_the_mask_is_an_error() -> None:
    found = plan(BASE, "mask_grow", "-20, -10, -9, 0", ("seed", "1-3"))
    assert [(one.axis, one.value) for one in found.problems] == [
        ("Mask grow", "-20"),
        ("Mask grow", "-10"),
    ]
    assert "-20 shrinks the mask until nothing of it is left" in found.problems[0].reason
    assert not found.cells


def test_another_axis_finds_the_base_at_fault_once() -> None:
    found = plan(replace(BASE, mask_grow=-30), "seed", "1-8")
    (problem,) = found.problems
    assert (problem.axis, problem.value) == ("Mask grow", "")
    blurred = plan(replace(BASE, mask_grow=-9), "mask_blur", "0, 40")
    assert [(one.axis, one.value) for one in blurred.problems] == [("Mask grow", "Mask blur 40")]


def test_a_mask_that_the_latents_miss_is_a_warning_for_each_value() -> None:
    thin = replace(BASE, mask_image=input_digest(THIN))
    found = plan(thin, "mask_grow", "0, 1, 6")
    assert not found.problems
    assert len(found.cells) == 3
    assert [(one.axis, one.value) for one in found.missed] == [
        ("Mask", "Mask grow 0"),
        ("Mask", "Mask grow 1"),
    ]
    assert "covers no place of the latents" in found.missed[0].reason
    assert not plan(BASE, "mask_grow", "0, 8").missed


def test_without_a_mask_or_with_one_that_is_gone_nothing_is_said() -> None:
    def gone(digest: str) -> np.ndarray:
        raise InputError("gone")

    sweep = Sweep(base=replace(BASE, mask_grow=-64), x=parse_axis("seed", "1, 2"))
    missing = make_plan(sweep, describe=describe, holds=nothing, read_source=gone)
    assert (missing.problems, missing.missed) == ((), ())
    without = plan(GenerationSettings(mask_grow=-64), "seed", "1, 2")
    assert (without.problems, without.missed) == ((), ())
