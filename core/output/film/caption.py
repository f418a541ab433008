"""Words burned into the frames of a film: fields that keep their places while numbers change."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from core.output.sheet.lettering import Color, Face
from core.output.texts.one_line import clean

Caption = Sequence[str]
"""The fields of one frame's caption, each on its place: ("Step 3 of 20", "timestep 841")."""


def lettering_size(width: int) -> int:
    """The font size in pixels for a frame of this width: large enough to be read in a film."""
    return min(max(round(width / 26), 10), 24)


class CaptionStrip:
    """The captions of a film's frames, in a strip of one height.

    A field is as wide as its widest text in any frame; fields that do not fit beside each other
    go to the next line.
    """

    def __init__(self, captions: Sequence[Caption], width: int, size: int, color: Color) -> None:
        self._captions = [[clean(field) for field in caption] for caption in captions]
        self._face, self._color, self._pad = Face(size), color, max(size // 2, 3)
        self._places: list[tuple[float, float]] = []
        count = max((len(caption) for caption in self._captions), default=0)
        x, y, right = float(self._pad), float(self._pad), width - self._pad
        for index in range(count):
            wide = max(
                self._face.width(caption[index]) if index < len(caption) else 0.0
                for caption in self._captions
            )
            if x > self._pad and x + wide > right:
                x, y = float(self._pad), y + self._face.line_height
            self._places.append((x, y))
            x += wide + 1.2 * size if wide else 0
        self.height = round(y + self._face.line_height + self._pad) if count else 0

    def draw(self, canvas: Image.Image, index: int, *, left: int, top: int) -> None:
        """Write the caption of frame `index` below `top`."""
        for (x, y), field in zip(self._places, self._captions[index], strict=False):
            if field:
                self._face.draw(canvas, left + x, top + y, field, self._color)
