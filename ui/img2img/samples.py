"""Six small pictures to begin with; `python -m ui.img2img.samples` draws them again.

They are part of this project and under its licence, as ui/assets/samples/README.md says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parents[1] / "assets" / "samples"
SCALE = 4  # drawn so much larger, then made smaller, for smooth edges


class Pen:
    """Shapes in units of the finished picture's pixels."""

    def __init__(self, width: int, height: int, ground: str) -> None:
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), ground)
        self._draw = ImageDraw.Draw(self._image)
        self._size = (width, height)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        box = [value * SCALE for value in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, fill=colour)

    def box(self, x: float, y: float, width: float, height: float, colour: str, r: float) -> None:
        box = [value * SCALE for value in (x, y, x + width, y + height)]
        self._draw.rounded_rectangle(box, radius=r * SCALE, fill=colour)

    def shape(self, points: list[tuple[float, float]], colour: str) -> None:
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=colour)

    def arc(
        self, x: float, y: float, r: float, start: float, end: float, colour: str, w: float
    ) -> None:
        box = [value * SCALE for value in (x - r, y - r, x + r, y + r)]
        self._draw.arc(box, start, end, fill=colour, width=round(w * SCALE))

    def finished(self) -> Image.Image:
        return self._image.resize(self._size, Image.Resampling.LANCZOS)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One picture: its file's name, what it shows, and the code that draws it."""

    name: str
    title: str
    draw: Callable[[], Image.Image]

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.png"


def _apple() -> Image.Image:
    pen = Pen(256, 256, "#2f6fb5")
    pen.disc(106, 150, 62, 68, "#c92a2a")
    pen.disc(150, 150, 62, 68, "#d63031")
    pen.disc(96, 128, 18, 26, "#e66767")
    pen.box(123, 52, 10, 44, "#6b4423", 5)
    pen.shape([(132, 74), (168, 44), (190, 62), (158, 84)], "#4f8a3c")
    return pen.finished()


def _face() -> Image.Image:
    pen = Pen(256, 256, "#8e5ba6")
    pen.disc(128, 128, 88, 88, "#f2c230")
    for x in (98, 158):
        pen.disc(x, 108, 12, 18, "#3b2a12")
    pen.arc(128, 128, 52, 25, 155, "#3b2a12", 10)
    return pen.finished()


def _house() -> Image.Image:
    pen = Pen(256, 256, "#bfe0ee")
    pen.box(0, 196, 256, 60, "#5c9c4a", 0)
    pen.box(72, 122, 112, 92, "#efe3c8", 0)
    pen.shape([(56, 126), (128, 58), (200, 126)], "#b5431a")
    pen.box(114, 160, 30, 54, "#6b4423", 3)
    pen.box(154, 142, 20, 22, "#2f6fb5", 2)
    pen.box(82, 142, 20, 22, "#2f6fb5", 2)
    return pen.finished()


def _fish() -> Image.Image:
    """Wider than it is high: there is something to crop."""
    pen = Pen(320, 200, "#1f7a8c")
    pen.shape([(228, 100), (296, 50), (282, 100), (296, 150)], "#e07a1f")
    pen.disc(150, 100, 96, 58, "#f29e38")
    pen.shape([(128, 46), (178, 22), (186, 56)], "#e07a1f")
    pen.disc(94, 86, 13, 13, "#ffffff")
    pen.disc(90, 86, 6, 6, "#1b1b1b")
    for x in (150, 190):
        pen.arc(x, 100, 34, -50, 50, "#e07a1f", 7)
    return pen.finished()


def _mushroom() -> Image.Image:
    """Higher than it is wide."""
    pen = Pen(200, 280, "#e9b8c6")
    pen.disc(100, 122, 84, 76, "#c92a2a")
    pen.box(0, 150, 200, 60, "#e9b8c6", 0)
    pen.box(74, 140, 52, 108, "#f4ead6", 20)
    for x, y, r in ((64, 104, 14), (112, 78, 17), (144, 122, 12), (98, 130, 10)):
        pen.disc(x, y, r, r, "#fdf7ec")
    return pen.finished()


def _hills() -> Image.Image:
    pen = Pen(320, 240, "#f0a35e")
    pen.disc(222, 96, 42, 42, "#fbe08a")
    pen.disc(70, 236, 170, 108, "#6c4f7d")
    pen.disc(260, 262, 190, 118, "#46386b")
    pen.disc(120, 300, 210, 110, "#2b2850")
    return pen.finished()


SAMPLES = (
    Sample(name="apple", title="Apple", draw=_apple),
    Sample(name="face", title="Face", draw=_face),
    Sample(name="house", title="House", draw=_house),
    Sample(name="fish", title="Fish", draw=_fish),
    Sample(name="mushroom", title="Mushroom", draw=_mushroom),
    Sample(name="hills", title="Hills", draw=_hills),
)

if __name__ == "__main__":
    for sample in SAMPLES:
        sample.draw().save(sample.path, optimize=True)
