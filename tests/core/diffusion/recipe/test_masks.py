"""Masks: grown by a disk, blurred as PIL blurs, and cut by the share of the calls that are done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageFilter

from core.diffusion.recipe.images import MaskShape, draw_mask
from core.diffusion.recipe.masks import (
    emptied,
    enlarged,
    grown,
    inpainted_mask,
    masked_area,
    may_change,
    missed,
    prepared_mask,
)
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
    problem = emptied(SQUARE, replace(PLAIN, **change))
    assert (problem.reason if problem else "").startswith(words)
    assert (problem.field if problem else "") == (next(iter(change)) if words else "")
    assert emptied(np.zeros_like(SQUARE), replace(PLAIN, **change)) is None, "it was empty before"


def test_a_black_mask_has_no_area() -> None:
    problem = emptied(np.zeros_like(SQUARE), replace(PLAIN, masked_only=True))
    assert problem is not None
    assert problem.field == "masked_only"


PROCESSOR: Any = VaeImageProcessor(vae_scale_factor=8)
FRAMES = [(64, 64), (96, 64), (40, 104)]
"""Width, height."""


def boxes(width: int, height: int) -> list[np.ndarray]:
    """Masks with a box anywhere: in each corner, along edges, of one pixel, and of the whole."""
    generator = np.random.default_rng(width * 1000 + height)
    places = [(0, 0, 9, 7), (width - 5, 0, width, 20), (0, height - 3, 40, height)]
    places += [(width - 9, height - 9, width, height), (0, 0, width, height)]
    places += [(3, 5, 4, 6), (0, 11, width, 14), (13, 0, 15, height)]
    for _ in range(40):
        left, right = np.sort(generator.integers(0, width + 1, 2))
        top, bottom = np.sort(generator.integers(0, height + 1, 2))
        places.append((int(left), int(top), int(right), int(bottom)))
    found: list[np.ndarray] = []
    for left, top, right, bottom in places:
        mask = np.zeros((height, width), np.uint8)
        mask[top:bottom, left:right] = generator.integers(1, 256)
        found += [mask] if mask.any() else []
    return found


@pytest.mark.parametrize("padding", [0, 5, 32, 256])
@pytest.mark.parametrize(("width", "height"), FRAMES)
def test_the_masked_area_is_that_of_diffusers(width: int, height: int, padding: int) -> None:
    for mask in boxes(width, height):
        settings = replace(PLAIN, masked_only=True, masked_padding=padding)
        area = masked_area(mask, settings)
        wanted = PROCESSOR.get_crop_region(Image.fromarray(mask), width, height, pad=padding)
        assert area == wanted
        assert masked_area(mask, replace(settings, masked_only=False)) is None


@pytest.mark.parametrize(("width", "height"), FRAMES)
def test_an_area_is_enlarged_as_diffusers_fills(width: int, height: int) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    areas = {masked_area(mask, replace(PLAIN, masked_only=True)) for mask in boxes(width, height)}
    # Two that are wider and higher than the frame's own proportions, as no mask has them.
    for area in (areas - {None}) | {(0, 0, width, height // 3), (3, 0, width // 3, height)}:
        assert area is not None
        for picture in (noise, noise[..., 0]):
            part = Image.fromarray(picture).crop(area)
            wanted = PROCESSOR.resize(part, height, width, resize_mode="fill")
            found = Image.fromarray(enlarged(picture, area)).convert("RGB")
            assert np.array_equal(np.asarray(found), np.asarray(wanted)), area


def test_the_mask_of_an_area_is_enlarged_with_it() -> None:
    settings = replace(PLAIN, masked_only=True, masked_padding=0)
    # A square of 20 fills the height of the frame, 40, and 20 / 24 of its width, 48.
    assert (inpainted_mask(SQUARE, settings) > 0).mean() == pytest.approx(20 / 24)
    assert np.array_equal(inpainted_mask(SQUARE, PLAIN), SQUARE)
    soft = replace(settings, mask_mode="differential", mask_blur=3)
    assert set(np.unique(inpainted_mask(SQUARE, replace(soft, mask_mode="binary")))) <= {0, 255}
    assert len(np.unique(inpainted_mask(SQUARE, soft))) > 10


def line(thick: int, at: int) -> np.ndarray:
    """Across the frame, from row `at` on."""
    mask = np.zeros((64, 64), np.uint8)
    mask[at : at + thick] = 255
    return mask


def test_a_line_between_two_rows_of_latents_is_missed() -> None:
    for at, rows_inpainted in zip(range(8, 17), (4, 0, 0, 0, 0, 1, 2, 3, 4), strict=True):
        problem = missed(line(4, at), PLAIN, 8)
        words = f"{1 - rows_inpainted / 4:.0%} of it is not inpainted"
        words = words if rows_inpainted else "covers no place of the latents"
        assert problem is None or words in problem.reason, at
        assert (problem is None) == (rows_inpainted == 4), at
        assert problem is None or (problem.field, problem.severity) == ("mask_image", "warning")
    assert missed(line(4, 10), replace(PLAIN, mask_grow=6), 8) is None
    assert missed(line(4, 10), PLAIN, 4) is None, "its latents are finer"
    area = replace(PLAIN, masked_only=True, masked_padding=0)
    blob = np.zeros((64, 64), np.uint8)
    blob[9:15, 9:15] = 255
    assert missed(blob, PLAIN, 8) is not None
    assert missed(blob, area, 8) is None, "enlarged it is no longer thin"


def test_a_mask_that_is_thin_in_parts_says_how_much_is_missed() -> None:
    half = line(4, 10)
    half[:, :32] = line(32, 8)[:, :32]
    problem = missed(half, PLAIN, 8)
    assert problem is not None
    assert f"{4 * 32 / (half > 0).sum():.0%} of it is not inpainted" in problem.reason


def test_a_mask_that_is_wide_enough_is_not_warned_of() -> None:
    shapes = [
        MaskShape(kind=kind, left=left, top=0.2, right=0.7, bottom=bottom)
        for kind in ("ellipse", "rectangle")
        for left in (0.05, 0.21, 0.4)
        for bottom in (0.5, 0.73, 1.0)
    ]
    for shape in shapes:
        assert missed(draw_mask([shape], 64, 64), PLAIN, 8) is None, shape
    down, across = np.mgrid[:128, :128]
    for slope in (0.2, 0.5, 1.0, 3.0):
        turned = (np.abs(down - 64 - slope * (across - 64)) < 12 * np.hypot(1, slope)) * 255
        assert missed(turned.astype(np.uint8), PLAIN, 8) is None, slope
