"""Tensors as pictures: channels side by side, a map over a picture, a strip of predictions."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.output.figures.latent_pictures import heat_map

_HEAT = np.array([(13, 8, 35), (93, 18, 110), (203, 65, 73), (251, 155, 6), (252, 255, 164)], float)
_MARK = (181, 67, 26)


def channel_tiles(latents: np.ndarray, limit: float, longest: int) -> bytes:
    """A PNG of the channels (C, h, w) as heat maps in rows of two, -limit blue to +limit red."""
    maps = [heat_map(channel, limit) for channel in latents]
    height, width = maps[0].shape[:2]
    across = 2 if len(maps) > 1 else 1
    times = max(1, longest // (across * max(height, width)))
    gap, size = 4, (width * times, height * times)
    down = -(-len(maps) // across)
    sheet = Image.new(
        "RGBA", (across * (size[0] + gap) - gap, down * (size[1] + gap) - gap), (0, 0, 0, 0)
    )
    for index, pixels in enumerate(maps):
        tile = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
        place = (index % across * (size[0] + gap), index // across * (size[1] + gap))
        sheet.paste(tile, place)
    return png(sheet)


def heat(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    """A map (h, w), uint8 (h, w, 3) from dark to light: from 0 to `limit`, else from its own least
    to its greatest.
    """
    low = float(values.min()) if limit is None else 0.0
    span = float(np.ptp(values)) if limit is None else limit
    share = (values - low) / span if span > 0 else np.zeros_like(values)
    stops = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(share, stops, _HEAT[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def overlay(
    picture: Image.Image, values: np.ndarray, opacity: float, limit: float | None = None
) -> Image.Image:
    """A map (h, w) in the colours of `heat`, enlarged and laid over a picture: opacity 1 hides the
    picture.
    """
    large = Image.fromarray(heat(values, limit)).resize(picture.size, Image.Resampling.BICUBIC)
    return Image.blend(picture.convert("RGB"), large, opacity)


def strip(rows: Sequence[Sequence[np.ndarray]], side: int, mark: int | None = None) -> Image.Image:
    """Rows of small pictures, uint8 (h, w, 3), each enlarged to at most `side`; before column
    `mark` stands a line through all rows.
    """
    gap, count = 6, max(len(row) for row in rows)
    height, width = rows[0][0].shape[:2]
    scale = side / max(height, width)
    size = (round(width * scale), round(height * scale))
    sheet = Image.new(
        "RGBA", (count * (size[0] + gap) - gap, len(rows) * (size[1] + gap) - gap), (0, 0, 0, 0)
    )
    for down, row in enumerate(rows):
        for across, pixels in enumerate(row):
            tile = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
            sheet.paste(tile, (across * (size[0] + gap), down * (size[1] + gap)))
    if mark is not None and 0 < mark < count:
        left = mark * (size[0] + gap) - gap + 1
        sheet.paste((*_MARK, 255), (left, 0, left + gap - 2, sheet.height))
    return sheet


def png(image: Image.Image) -> bytes:
    """A picture's bytes, without settings in it: it is shown, not kept."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
