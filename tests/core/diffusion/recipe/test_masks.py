"""Masks: grown by a disk, blurred as PIL blurs, and cut by the share of the calls that are done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.diffusion.recipe.masks import emptied, grown, may_change, prepared_mask
from core.diffusion.settings import GenerationSettings

PLAIN = GenerationSettings(init_image="5e" * 32, mask_image="ab" * 32)
GREY = np.random.default_rng(7).integers(0, 256, (23, 31), dtype=np.uint8)
SQUARE = np.zeros((40, 48), np.uint8)
SQUARE[10:30, 16:36] = 255


def by_loop(mask: np.ndarray, radius: int, best: Any) -> np.ndarray:
    """The brightest or darkest pixel within a radius, one pixel at a time."""
    height, width = mask.shape
    made = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            made[y, x] = best(
                int(mask[j, i])
                for j in range(max(y - radius, 0), min(y + radius + 1, height))
                for i in range(max(x - radius, 0), min(x + radius + 1, width))
                if (i - x) ** 2 + (j - y) ** 2 <= radius**2
            )
    return made


@pytest.mark.parametrize("pixels", [1, 2, 5, 9, 40])
def test_a_mask_grows_and_shrinks_by_a_disk(pixels: int) -> None:
    assert np.array_equal(grown(GREY, pixels), by_loop(GREY, pixels, max))
    assert np.array_equal(grown(GREY, -pixels), by_loop(GREY, pixels, min))


def test_nothing_is_changed_by_the_defaults() -> None:
    before = SQUARE.copy()
    assert np.array_equal(prepared_mask(SQUARE, PLAIN), SQUARE)
    grown(SQUARE, 3)
    assert np.array_equal(SQUARE, before), "the mask that is kept stays as it is"


def test_it_grows_first_and_is_then_blurred() -> None:
    soft = replace(PLAIN, mask_grow=6, mask_blur=3, mask_mode="differential")
    found = prepared_mask(SQUARE, soft)
    grown_square = Image.fromarray(by_loop(SQUARE, 6, max))
    wanted = np.asarray(grown_square.filter(ImageFilter.GaussianBlur(3)))
    assert np.array_equal(found, wanted)
    hard = prepared_mask(SQUARE, replace(soft, mask_mode="binary"))
    assert np.array_equal(hard, np.where(wanted >= 128, 255, 0))


def test_half_grey_counts_as_white_in_binary_mode_alone() -> None:
    ramp = np.array([[0, 127, 128, 255]], np.uint8)
    assert prepared_mask(ramp, PLAIN).tolist() == [[0, 0, 255, 255]]
    differential = replace(PLAIN, mask_mode="differential")
    assert prepared_mask(ramp, differential).tolist() == ramp.tolist()


@pytest.mark.parametrize("calls", [1, 4, 7, 20])
def test_differential_masks_are_those_of_levin_and_fried(calls: int) -> None:
    """Their loop keeps the source before step i where map > i / n; their map is white where ours
    is black. Ours is after call i, so that before and after are one place; black is always kept.
    """
    change = np.arange(256, dtype=np.uint8)[None]
    for i in range(1, calls):
        kept = [(255 - g) / 255 > i / calls for g in range(256)]
        assert may_change(change, i, calls)[0].tolist() == [not one for one in kept], i
    last = may_change(change, calls, calls)[0]
    assert last.tolist() == [False] + [True] * 255


def test_black_and_white_are_the_same_in_both_modes() -> None:
    for call in range(1, 9):
        assert np.array_equal(may_change(SQUARE, call, 8), SQUARE > 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mask_grow": -10}, "-10 shrinks the mask until nothing of it is left"),
        ({"mask_blur": 40}, "40 blurs the mask until no place of it is half white"),
        ({"mask_grow": -9}, ""),
        ({"mask_blur": 40, "mask_mode": "differential"}, ""),
        ({}, ""),
    ],
)
def test_a_mask_of_which_nothing_is_left_is_said(change: dict[str, Any], words: str) -> None:
    said = emptied(SQUARE, replace(PLAIN, **change))
    assert said.startswith(words)
    assert bool(said) == bool(words)
    assert emptied(np.zeros_like(SQUARE), replace(PLAIN, **change)) == "", "it was empty before"
