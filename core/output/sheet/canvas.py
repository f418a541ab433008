"""What a sheet is drawn on: the pixels of a picture, or a page of a PDF (`pdf`)."""

from __future__ import annotations

from typing import Protocol

from PIL import Image, ImageDraw

from core.output.sheet.lettering import Color, Face


class Canvas(Protocol):
    """Places count in pixels from the upper left corner."""

    def text(self, face: Face, x: float, y: float, text: str, color: Color) -> None:
        """Write one line; (x, y) is the upper left corner of its box."""
        ...

    def picture(self, image: Image.Image, at: tuple[int, int], scale: float) -> None:
        """Draw a picture `scale` times as large, its corner at `at`."""
        ...

    def panel(self, box: tuple[int, int, int, int], fill: Color, line: Color) -> None:
        """Draw a filled rectangle with a line around it: left, top, right, bottom, all within."""
        ...


class Pixels:
    """A picture to draw on."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image

    def text(self, face: Face, x: float, y: float, text: str, color: Color) -> None:
        face.draw(self.image, x, y, text, color)

    def picture(self, image: Image.Image, at: tuple[int, int], scale: float) -> None:
        self.image.paste(fit_picture(image, scale), at)

    def panel(self, box: tuple[int, int, int, int], fill: Color, line: Color) -> None:
        ImageDraw.Draw(self.image).rectangle(box, fill=fill, outline=line)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height times `scale`, at least one pixel each."""
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def fit_picture(image: Image.Image, scale: float) -> Image.Image:
    """Scaled: whole factors up keep every pixel as a square, else Lanczos (bicubic upward)."""
    size = scaled_size(image.size, scale)
    if size == image.size:
        return image
    if scale < 1:
        return image.resize(size, Image.Resampling.LANCZOS)
    is_whole = abs(scale - round(scale)) < 1e-9
    return image.resize(size, Image.Resampling.NEAREST if is_whole else Image.Resampling.BICUBIC)
