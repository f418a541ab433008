"""The measures of one picture, held against closed forms and other libraries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.measure import shannon_entropy

from core.diffusion.trajectory import Trajectory
from core.output.numbers.picture_measures import (
    colourfulness,
    entropy,
    jpeg_size,
    saturation,
    sharpness,
)
from core.output.numbers.quantities import QUANTITIES, settled_step
from tests.core.runs.doubles import RECORD


def flat(*colour: int) -> Image.Image:
    return Image.new("RGB", (16, 12), colour)


def noise(seed: int = 0, low: int = 0, high: int = 256) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(low, high, (24, 32, 3), dtype=np.uint8))


def test_saturation_counts_subpixels_at_both_ends() -> None:
    assert saturation(flat(0, 128, 255)) == pytest.approx(2 / 3)
    assert saturation(flat(1, 128, 254)) == 0
    half = flat(10, 10, 10)
    half.paste((255, 255, 255), (0, 0, 8, 12))
    assert saturation(half) == 0.5


def test_colourfulness_is_the_formula_of_hasler_and_suesstrunk() -> None:
    assert colourfulness(flat(90, 90, 90)) == 0
    # One colour has no spread: 0.3 times the length of (R - G, (R + G) / 2 - B).
    assert colourfulness(flat(255, 0, 0)) == pytest.approx(0.3 * np.hypot(255, 127.5))
    image = noise(3)
    rg: list[float] = []
    yb: list[float] = []
    for red, green, blue in np.asarray(image, dtype=float).reshape(-1, 3):
        rg.append(red - green)
        yb.append(0.5 * (red + green) - blue)
    spread = np.sqrt(np.var(rg) + np.var(yb))
    middle = np.sqrt(np.mean(rg) ** 2 + np.mean(yb) ** 2)
    assert colourfulness(image) == pytest.approx(spread + 0.3 * middle)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    image = noise(1)
    grey = np.asarray(image.convert("L"), dtype=float)
    assert sharpness(image) == pytest.approx(ndimage.laplace(grey)[1:-1, 1:-1].var())
    assert sharpness(flat(7, 7, 7)) == 0
    ramp = Image.fromarray(np.tile(np.arange(0, 96, 3, dtype=np.uint8), (9, 1)))
    assert sharpness(ramp) == 0, "an even slope has no edge"
    assert sharpness(Image.new("RGB", (2, 8))) is None


def test_entropy_is_of_the_grey_histogram() -> None:
    image = noise(2)
    assert entropy(image) == pytest.approx(shannon_entropy(np.asarray(image.convert("L"))))
    assert entropy(flat(3, 3, 3)) == 0
    every = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert entropy(every) == 8


def test_the_jpeg_of_more_detail_is_larger() -> None:
    sizes = [jpeg_size(flat(80, 90, 100)), jpeg_size(noise(0, 100, 156)), jpeg_size(noise())]
    assert sizes == sorted(sizes)
    assert sizes[2] > 1.5 * sizes[0]
    assert jpeg_size(noise()) == jpeg_size(noise())


@pytest.mark.parametrize(
    ("cosines", "settled"),
    [
        ((0.5, 0.98, 0.99, 1.0), 3),
        ((0.995, 0.5, 0.995, 1.0), 3),  # near at first, and away again
        ((0.1, 0.2, 0.3, 1.0), 4),
        ((1.0, 1.0), 1),
        ((0.9, None, 1.0), None),
        ((), None),
    ],
)
def test_the_picture_is_settled_where_it_stays_near_its_end(
    cosines: tuple[float | None, ...], settled: float | None
) -> None:
    records = tuple(
        replace(RECORD, step_index=index, x0_cos_final=cosine)
        for index, cosine in enumerate(cosines)
    )
    assert settled_step(Trajectory(records=records)) == settled


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_row_of_the_table_says_what_it_is(name: str) -> None:
    row = QUANTITIES[name]
    given = (row.of_steps, row.of_picture, row.of_pair, row.is_seen or None)
    assert sum(one is not None for one in given) == (row.needs != "run")
    assert row.label
    assert row.note
    assert row.version >= 1
