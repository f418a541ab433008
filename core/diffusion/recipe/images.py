"""Any uploaded picture -> the array that the VAE gets. Imports no torch.

A source is an array: a prepared picture uint8 (H, W, 3), a mask uint8 (H, W), or latents
float32 (C, h, w). Its name is the SHA-256 of its content.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, ImageOps

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_RATIO = 32
BAND_ROWS = 512
FORMATS = ("PNG", "JPEG", "WEBP")
ResizeMode = Literal["crop", "pad", "stretch"]

# A picture with broken EXIF data is read as it is: there is nothing for the terminal to say.
warnings.filterwarnings("ignore", "Corrupt EXIF data", module="PIL")

Array = np.ndarray
ReadInput = Callable[[str], Array]
"""Digest -> source. Raises InputError when there is none of that name."""


class PictureError(ValueError):
    """A file that cannot be used as a picture; the message is for the person who chose it."""


class InputError(Exception):
    """A source that is not there any more; the message says which, and what to do."""


def input_digest(source: Array) -> str:
    """SHA-256 (hex) of an array's kind, shape and bytes: the name of a source."""
    flat = np.ascontiguousarray(source)
    head = f"{flat.dtype.str} {'x'.join(map(str, flat.shape))} "
    return hashlib.sha256(head.encode() + flat.tobytes()).hexdigest()


def open_header(data: bytes) -> Image.Image:
    """The picture of a PNG, JPEG or WebP file with nothing decoded yet.

    Raises PictureError for anything else, above 20 MB or above 40 megapixels.
    """
    if not data:
        raise PictureError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise PictureError(
            f"The file has {len(data) / 2**20:.0f} MB; pictures up to 20 MB are read."
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise PictureError("The file is not a PNG, JPEG or WebP picture.") from None
    except Image.DecompressionBombError:
        raise PictureError("The picture has far more than the 40 megapixels read here.") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise PictureError("The picture is damaged: its file cannot be read.") from None
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise PictureError(f"The picture has {pixels / 1e6:.0f} megapixels; up to 40 are read.")
    return image


def open_picture(data: bytes) -> Image.Image:
    """An uploaded file as RGB, upright: the first frame, alpha laid on white, 16 bits scaled to
    8, CMYK converted, turned as its EXIF orientation says, its colours taken from its ICC profile
    to sRGB. Raises PictureError.
    """
    with open_header(data) as image:
        if min(image.size) < MIN_SIDE:
            raise PictureError(
                f"The picture has {image.width} × {image.height} pixels: too few to work from. "
                f"Both sides need at least {MIN_SIDE}."
            )
        if max(image.size) > MAX_RATIO * min(image.size):
            raise PictureError(
                f"The picture is a strip of {image.width} × {image.height} pixels. One side may "
                f"be up to {MAX_RATIO} times the other: cut a part out of it first."
            )
        try:
            image.load()
            return _plain(_upright(image), image.info.get("icc_profile"))
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError):
            message = "The picture is damaged: it ends early or its pixels cannot be read."
            raise PictureError(message) from None


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says; a picture with broken EXIF data stays as it is."""
    with suppress(Exception):  # Pillow raises whatever the broken bytes lead it into
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _plain(image: Image.Image, profile: object) -> Image.Image:
    """As sRGB, a band of rows at a time: 40 megapixels are held once, not at every step."""
    if image.mode == "RGB" and not profile and "transparency" not in image.info:
        return image
    made = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        band = image.crop((0, top, image.width, min(top + BAND_ROWS, image.height)))
        made.paste(_rgb(_srgb(band, profile)), (0, top))
    return made


def _srgb(image: Image.Image, profile: object) -> Image.Image:
    """The picture's colours in sRGB, which models are trained on, as its ICC profile means them.

    A profile that changes no colour by more than rounding leaves the pixels as they are, and so
    does a broken one or one for another kind of picture.
    """
    if not isinstance(profile, bytes) or not profile:
        return image
    with suppress(Exception):  # LittleCMS raises what the broken bytes lead it into
        if image.mode in ("P", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
        alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
        colours = image.convert(image.mode[:-1]) if alpha else image
        if colours.mode not in ("RGB", "L", "CMYK"):
            return image
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        change = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            colours.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if colours.mode != "CMYK" and _changes_little(change, colours.mode):
            return image
        changed = ImageCms.applyTransform(colours, change)
        if changed is not None:
            if alpha:
                changed.putalpha(alpha)
            return changed
    return image


def _changes_little(change: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a grid over all colours stays within one level of 255."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(27, 27, 3)
    probe = Image.fromarray(grid if mode == "RGB" else np.tile(steps, (2, 1)))
    changed = ImageCms.applyTransform(probe, change)
    if changed is None:
        return True
    difference = np.asarray(changed).astype(int) - np.asarray(probe.convert("RGB")).astype(int)
    return bool(np.abs(difference).max() <= 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(wide / 257), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        laid = image.convert("RGBA")
        white = Image.new("RGBA", laid.size, "white")
        return Image.alpha_composite(white, laid).convert("RGB")
    return image.convert("RGB")


def prepare(
    picture: Image.Image,
    width: int,
    height: int,
    mode: ResizeMode,
    centre: tuple[float, float] = (0.5, 0.5),
) -> Array:
    """The picture at the size that is generated: uint8 (height, width, 3).

    "crop" fills the frame and cuts what stands over, about `centre` (0 to 1 across and down);
    "pad" shows all of it, on white; "stretch" changes its proportions. Lanczos, as diffusers'
    VaeImageProcessor resizes.
    """
    size, filter_ = (width, height), Image.Resampling.LANCZOS
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    if mode == "crop":
        made = ImageOps.fit(picture, size, filter_, centering=centre)
    elif mode == "pad":
        made = ImageOps.pad(picture, size, filter_, color="white", centering=centre)
    else:
        made = picture.resize(size, filter_)
    return np.asarray(made)


def prepare_mask(picture: Image.Image, width: int, height: int, *, is_grey: bool = False) -> Array:
    """A mask of the same frame: uint8 (height, width), 255 where it is at least half white, or
    as grey as it is.

    diffusers' mask processor cuts at one half too. It is stretched: a mask is made for its frame.
    """
    grey = np.asarray(
        picture.convert("L").resize((width, height), Image.Resampling.LANCZOS), dtype=np.uint8
    )
    return grey if is_grey else np.where(grey >= 128, 255, 0).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class MaskShape:
    """A part of a frame, its sides as shares of the frame's width and height, 0 to 1."""

    kind: Literal["rectangle", "ellipse"]
    left: float
    top: float
    right: float
    bottom: float


def draw_mask(shapes: Sequence[MaskShape], width: int, height: int) -> Array:
    """A mask uint8 (height, width): 255 inside any of the shapes, by each pixel's centre."""
    across = (np.arange(width) + 0.5)[None, :] / width
    down = (np.arange(height) + 0.5)[:, None] / height
    inside = np.zeros((height, width), bool)
    for shape in shapes:
        radius_x, radius_y = (shape.right - shape.left) / 2, (shape.bottom - shape.top) / 2
        if radius_x <= 0 or radius_y <= 0:
            continue
        x = np.abs(across - shape.left - radius_x) / radius_x
        y = np.abs(down - shape.top - radius_y) / radius_y
        inside |= (np.hypot(x, y) if shape.kind == "ellipse" else np.maximum(x, y)) <= 1
    return np.where(inside, 255, 0).astype(np.uint8)
