"""Uploads: sixty good files equal reference pixels, thirty hostile ones are refused cheaply."""

from __future__ import annotations

import io
import re
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from core.diffusion.recipe.images import (
    PictureError,
    input_digest,
    open_picture,
    prepare,
    prepare_mask,
)

WIDTH, HEIGHT = 24, 16
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}
ORIENTATIONS = (1, 3, 5, 6, 8)
GOOD = [(kind, mode, turn) for kind in MODES for mode in MODES[kind] for turn in ORIENTATIONS]


def pixels(mode: str) -> np.ndarray:
    """What a picture of this mode holds, as RGBA in 0 to 1, (HEIGHT, WIDTH, 4)."""
    across = np.linspace(0, 1, WIDTH)[None, :].repeat(HEIGHT, 0)
    down = np.linspace(0, 1, HEIGHT)[:, None].repeat(WIDTH, 1)
    alpha = np.ones_like(across)
    if mode in ("LA", "RGBA"):
        alpha = (np.round(255 * (1 - down)) / 255).astype(float)
    if mode == "1":
        grey = (across > 0.5).astype(float)
        return np.stack([grey, grey, grey, alpha], -1)
    if mode in ("L", "LA", "I;16"):
        return np.stack([across, across, across, alpha], -1)
    return np.stack([across, down, 1 - across, alpha], -1)


def made(mode: str) -> Image.Image:
    """The picture, written down without any of Pillow's conversions between modes."""
    rgba = pixels(mode)
    byte = np.round(rgba * 255).astype(np.uint8)
    if mode == "1":
        return Image.fromarray(byte[..., 0]).point(lambda value: value, "1")
    if mode == "L":
        return Image.fromarray(byte[..., 0])
    if mode == "LA":
        return Image.fromarray(byte[..., [0, 3]], "LA")
    if mode == "I;16":
        return Image.fromarray(np.round(rgba[..., 0] * 65535).astype(np.uint16))
    if mode == "CMYK":
        ink = 255 - byte[..., :3]
        return Image.fromarray(np.dstack([ink, np.zeros_like(ink[..., 0])]), "CMYK")
    if mode == "P":
        return Image.fromarray(byte[..., :3]).quantize(16, dither=Image.Dither.NONE)
    return Image.fromarray(byte if mode == "RGBA" else byte[..., :3])


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """The EXIF standard's table: where row 0 and column 0 of the stored picture belong."""
    return {
        1: lambda a: a,
        3: lambda a: a[::-1, ::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        8: lambda a: np.rot90(a, 1),
    }[orientation](array)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    lossless = {"lossless": True, "exact": True} if kind == "WEBP" else {"quality": 100}
    return encoded(image, kind, exif=exif, **({} if kind == "PNG" else lossless))


def test_there_are_sixty_good_files() -> None:
    assert len(GOOD) == 60


@pytest.mark.parametrize(("kind", "mode", "orientation"), GOOD)
def test_a_good_file_equals_its_reference(kind: str, mode: str, orientation: int) -> None:
    image = made(mode)
    found = np.asarray(open_picture(with_orientation(image, kind, orientation))).astype(int)
    rgba = pixels(mode)
    if mode == "P":
        palette = np.array(image.getpalette()).reshape(-1, 3)
        rgba[..., :3] = palette[np.asarray(image)] / 255
    if mode == "1":
        rgba[..., :3] = np.asarray(image)[..., None]
    on_white = rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
    wanted = turned(np.round(255 * on_white), orientation)
    assert found.shape == wanted.shape
    # JPEG loses a little even at its best quality: blocks, and colours at half the sharpness.
    error = np.abs(found - wanted)
    assert error.max() <= (20 if kind == "JPEG" else 1)
    assert error.mean() <= (4 if kind == "JPEG" else 0.5)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert open_picture(data).getpixel((8, 8)) == (255, 0, 0)


def test_a_transparent_colour_is_laid_on_white() -> None:
    for image, transparent in (
        (Image.new("RGB", (16, 16), (9, 8, 7)), (9, 8, 7)),
        (Image.new("L", (16, 16), 9), 9),
    ):
        data = encoded(image, "PNG", transparency=transparent)
        assert open_picture(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_data_leaves_the_picture_as_it_is() -> None:
    data = encoded(
        Image.new("RGB", (24, 16), "red"), "JPEG", exif=b"Exif\x00\x00II*\x00" + b"\xff" * 40
    )
    assert open_picture(data).size == (24, 16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Name, file, and what its own message says."""
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    whole = {kind: encoded(photo, kind) for kind in ("PNG", "JPEG", "WEBP")}
    yield "empty", b"", "is empty"
    yield "21 MB", whole["PNG"] + bytes(21 * 2**20), "21 MB"
    yield "21 MB of zeros", bytes(21 * 2**20), "21 MB"
    yield "bomb of 50 megapixels", png(10_000, 5_000, bytes(30_000_000)), "50 megapixels"
    yield "bomb of 100 gigapixels", png(400_000, 250_000, b""), "far more than the 40 megapixels"
    yield "bomb of two billion a side", png(2**31 - 1, 2**31 - 1, b""), "far more|damaged"
    yield "bomb in grey", png(9_000, 9_000, bytes(1_000), colour=0), "81 megapixels"
    yield "bomb in 1 bit", png(60_000, 60_000, bytes(1_000), depth=1, colour=0), "40 megapixels"
    yield "0 x 0", png(0, 0, b""), "not a PNG|damaged|0 × 0"
    yield "0 x 64", png(0, 64, b""), "not a PNG|damaged|0 × 64"
    yield "1 x 1", png(1, 1, bytes(4)), "1 × 1 pixels: too few"
    yield "1 x 10000", png(1, 10_000, bytes(40_000)), "1 × 10000 pixels: too few"
    yield "10000 x 1", png(10_000, 1, bytes(30_001)), "10000 × 1 pixels: too few"
    yield "8 x 10000", png(8, 10_000, bytes(250_000)), "a strip of 8 × 10000"
    for kind, data in whole.items():
        yield f"half a {kind}", data[: len(data) // 2], "damaged"
        yield f"the first bytes of a {kind}", data[:20], "damaged|not a PNG"
    yield "PNG without pixels", png(64, 64, b""), "damaged"
    corrupt = bytearray(whole["PNG"])
    corrupt[60:90] = bytes(30)
    yield "PNG with broken pixels", bytes(corrupt), "damaged"
    yield "GIF named PNG", encoded(photo, "GIF"), "not a PNG, JPEG or WebP"
    yield "BMP named JPEG", encoded(photo, "BMP"), "not a PNG, JPEG or WebP"
    yield "TIFF named PNG", encoded(photo, "TIFF"), "not a PNG, JPEG or WebP"
    yield "ICO named PNG", encoded(photo, "ICO"), "not a PNG, JPEG or WebP"
    yield (
        "EPS that runs a program",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not a PNG",
    )
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "not a PNG"
    yield "HTML", b"<html><script>alert(1)</script></html>", "not a PNG"
    yield "ZIP that ends as a PNG", b"PK\x03\x04" + bytes(40) + whole["PNG"], "not a PNG"
    yield "pickle", b"\x80\x04\x95\x10\x00\x00\x00\x8c\x05posix\x94.", "not a PNG"
    yield "text", b"ein Bild", "not a PNG"


HOSTILE = list(hostile())


def test_there_are_thirty_hostile_files() -> None:
    assert len(HOSTILE) >= 30


@pytest.mark.parametrize(
    ("data", "words"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_a_hostile_file_is_refused_cheaply_in_its_own_words(data: bytes, words: str) -> None:
    before = resident("VmRSS", forget_peak=True)
    began = time.thread_time()
    with pytest.raises(PictureError, match=words):
        open_picture(data)
    # This thread's own seconds on the processor: a busy machine makes no difference.
    assert time.thread_time() - began < 1
    assert resident("VmHWM") - before < 100 * 2**20


def resident(what: str, *, forget_peak: bool = False) -> int:
    """Bytes of this process in memory now ("VmRSS") or at most ("VmHWM"), C libraries' too."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells the peak of a part of a program")
    if forget_peak:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(rf"{what}:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_polyglot_is_read_as_the_picture_that_it_is() -> None:
    """A script behind a sound PNG: the picture is taken, and nothing of the rest survives."""
    image = Image.new("RGB", (16, 16), "red")
    data = encoded(image, "PNG") + b"<?php system($_GET['x']); ?>"
    assert open_picture(data).tobytes() == image.tobytes()


@pytest.fixture
def striped() -> Image.Image:
    """Red, white, blue: three upright stripes of 32 x 64 pixels."""
    image = Image.new("RGB", (96, 64), "white")
    image.paste((255, 0, 0), (0, 0, 32, 64))
    image.paste((0, 0, 255), (64, 0, 96, 64))
    return image


def test_crop_fills_the_frame_about_its_centre(striped: Image.Image) -> None:
    middle = prepare(striped, 32, 32, "crop")
    assert middle.shape == (32, 32, 3)
    assert tuple(middle[16, 16]) == (255, 255, 255)
    assert tuple(prepare(striped, 32, 64, "crop", (0.0, 0.5))[32, 16]) == (255, 0, 0)
    assert tuple(prepare(striped, 32, 64, "crop", (1.0, 0.5))[32, 16]) == (0, 0, 255)


def test_pad_shows_all_of_it_on_white(striped: Image.Image) -> None:
    padded = prepare(striped, 96, 96, "pad")
    assert np.array_equal(padded[16:80], np.asarray(striped))
    assert (padded[:16] == 255).all()
    assert (padded[80:] == 255).all()


def test_stretch_changes_the_proportions(striped: Image.Image) -> None:
    stretched = prepare(striped, 24, 64, "stretch")
    assert tuple(stretched[32, 4]) == (255, 0, 0)
    assert tuple(stretched[32, 12]) == (255, 255, 255)
    assert tuple(stretched[32, 20]) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
def test_a_picture_of_the_right_size_is_left_alone(striped: Image.Image, mode: Any) -> None:
    assert np.array_equal(prepare(striped, 96, 64, mode), np.asarray(striped))


def test_a_mask_is_black_or_white() -> None:
    slope = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))
    mask = prepare_mask(slope, 64, 64)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[0, 31] == 0
    assert mask[0, 33] == 255
    assert input_digest(mask) != input_digest(255 - mask)


PROFILED = Path(__file__).parent / "pictures"


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_display_p3_picture_comes_in_as_srgb(kind: str) -> None:
    picture = open_picture((PROFILED / f"r24_display_p3.{kind}").read_bytes())
    colour = np.asarray(picture)[8:24, 8:24].reshape(-1, 3).mean(0)
    assert np.abs(colour - (216, 69, 50)).max() <= 1.5
    assert picture.mode == "RGB"


def profiled(image: Image.Image, profile: bytes, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, icc_profile=profile)
    return buffer.getvalue()


def display_p3() -> bytes:
    with Image.open(PROFILED / "r24_display_p3.png") as picture:
        return picture.info["icc_profile"]


def test_a_profile_of_srgb_leaves_every_level_as_it_is() -> None:
    ramp = Image.fromarray(np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (np.asarray(open_picture(profiled(ramp, profile))) == np.asarray(ramp)).all()


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK", "I;16"])
def test_a_profile_for_another_kind_of_picture_changes_nothing(mode: str) -> None:
    image = made(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    plain = io.BytesIO()
    image.save(plain, kind)
    ours = np.asarray(open_picture(profiled(image, display_p3(), kind)))
    assert (ours == np.asarray(open_picture(plain.getvalue()))).all()


@pytest.mark.parametrize("profile", [b"x", b"x" * 600, display_p3()[:300]], ids=["1", "600", "cut"])
def test_a_broken_profile_changes_nothing(profile: bytes) -> None:
    image = Image.new("RGB", (16, 16), (200, 80, 60))
    assert open_picture(profiled(image, profile)).getpixel((8, 8)) == (200, 80, 60)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_profile_of_a_picture_with_alpha_or_a_palette(mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (200, 80, 60, 255)).convert(mode)
    assert open_picture(profiled(image, display_p3())).getpixel((8, 8)) == (216, 69, 50)
    clear = Image.new("RGBA", (16, 16), (200, 80, 60, 0))
    assert open_picture(profiled(clear, display_p3())).getpixel((8, 8)) == (255, 255, 255)
