"""Chosen pictures on one sheet: each in its place and in its colours."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from core.exports.contact_sheet import LARGEST_SIDE, MOST_PICTURES, write_contact_sheet
from core.output.sheet.canvas import fit_picture
from core.runs.store.opinions.ratings import Rating
from core.runs.store.store import Store, StoredImage
from tests.core.runs.doubles import generation, info, settings

LEFT, TOP, ACROSS, DOWN = 24, 24, LARGEST_SIDE + 12, LARGEST_SIDE + 12 + 3 * 17


@pytest.fixture
def images(tmp_path: Path) -> list[StoredImage]:
    store = Store(tmp_path)
    return [store.put(generation(settings(n), record="none"), info()) for n in range(5)]


def sheet(images: list[StoredImage], **ratings: Rating) -> Image.Image:
    return Image.open(io.BytesIO(write_contact_sheet(images, ratings)))


def test_each_picture_is_whole_and_in_its_place(images: list[StoredImage]) -> None:
    drawn = sheet(images)
    assert drawn.size == (48 + 3 * ACROSS - 12, 48 + 2 * DOWN - 12)
    for number, image in enumerate(images):
        left, top = LEFT + number % 3 * ACROSS, TOP + number // 3 * DOWN
        with Image.open(image.path) as opened:
            picture = opened.convert("RGB")
        expected = fit_picture(picture, LARGEST_SIDE / max(picture.size))
        part = drawn.crop((left, top, left + expected.width, top + expected.height))
        assert ImageChops.difference(part, expected).getbbox() is None, number


def test_a_rating_is_written_under_its_picture(images: list[StoredImage]) -> None:
    plain = sheet(images)
    rated = sheet(images, **{images[1].digest: Rating(stars=4, is_favourite=True)})
    box = ImageChops.difference(plain, rated).getbbox()
    assert box is not None
    assert box[0] >= LEFT + ACROSS - 1
    assert box[2] <= LEFT + 2 * ACROSS
    assert box[1] >= TOP + LARGEST_SIDE + 2 * 17 - 1


def test_the_place_of_a_missing_file_stays(images: list[StoredImage]) -> None:
    whole = sheet(images)
    images[4].path.unlink()
    less = sheet(images)
    box = ImageChops.difference(whole, less).getbbox()
    assert less.size == whole.size
    assert box is not None
    assert box[:2] >= (LEFT + ACROSS, TOP + DOWN)


@pytest.mark.parametrize("count", [0, MOST_PICTURES + 1])
def test_none_and_too_many_are_refused(images: list[StoredImage], count: int) -> None:
    with pytest.raises(ValueError, match="1 to 2,000 pictures"):
        write_contact_sheet(images[:1] * count, {})
