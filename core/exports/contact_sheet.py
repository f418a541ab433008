"""Any stored pictures on one sheet, in their order, with what tells them apart under each."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from core.output.sheet.canvas import fit_picture
from core.output.sheet.lettering import Face
from core.runs.store.opinions.ratings import Rating
from core.runs.store.store import StoredImage

MOST_PICTURES = 2000
LARGEST_SIDE = 256
"""Pixels of a picture's longer side on the sheet; fewer where there are many pictures."""

_MOST_PIXELS = 40_000_000
_MARGIN, _GAP = 24, 12
_PAPER, _INK, _SOFT, _EMPTY = (255, 255, 255), (33, 30, 27), (110, 104, 98), (238, 236, 232)
_FACE = Face(13)
_LINES = 3


def write_contact_sheet(images: Sequence[StoredImage], ratings: Mapping[str, Rating]) -> bytes:
    """A PNG as near to a square as whole rows allow: each picture whole, its prompt, its seed and
    scheduler, and its rating. The place of a file that is gone says so.

    Raises ValueError for none, and for more than MOST_PICTURES.
    """
    if not 0 < len(images) <= MOST_PICTURES:
        raise ValueError(f"A sheet has 1 to {MOST_PICTURES:,} pictures, not {len(images):,}.")
    side = min(LARGEST_SIDE, math.isqrt(_MOST_PIXELS // len(images)))
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    width, height = side + _GAP, side + _LINES * _FACE.line_height + _GAP
    sheet = Image.new(
        "RGB", (2 * _MARGIN + columns * width - _GAP, 2 * _MARGIN + rows * height - _GAP), _PAPER
    )
    for number, image in enumerate(images):
        left = _MARGIN + number % columns * width
        top = _MARGIN + number // columns * height
        _place(sheet, image, (left, top), side)
        settings = image.settings
        lines = (
            settings.prompt or "(no prompt)",
            f"Seed {settings.seed} · {settings.scheduler}",
            _rating_words(ratings.get(image.digest, Rating())),
        )
        for line, text in enumerate(lines):
            at = top + side + line * _FACE.line_height
            _FACE.draw(sheet, left, at, _shortened(text, side), _SOFT if line else _INK)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _place(sheet: Image.Image, image: StoredImage, at: tuple[int, int], side: int) -> None:
    """The picture in the middle of its square."""
    try:
        with Image.open(image.path) as opened:
            picture = opened.convert("RGB")
    except OSError:
        box = (*at, at[0] + side - 1, at[1] + side - 1)
        ImageDraw.Draw(sheet).rectangle(box, fill=_EMPTY)
        words = _shortened("The file is missing", side)
        _FACE.draw(sheet, at[0] + 4, at[1] + 4, words, _SOFT)
        return
    picture = fit_picture(picture, side / max(picture.size))
    left, top = ((side - length) // 2 for length in picture.size)
    sheet.paste(picture, (at[0] + left, at[1] + top))


def _rating_words(rating: Rating) -> str:
    """In words, which every font has."""
    stars = "1 star" if rating.stars == 1 else f"{rating.stars} stars" if rating.stars else ""
    return " · ".join(part for part in (stars, "favourite" if rating.is_favourite else "") if part)


def _shortened(text: str, width: int) -> str:
    """As much of one line as fits, with an ellipsis where it is cut."""
    first, *more = _FACE.wrap(text, width)
    while more and first and _FACE.width(f"{first}…") > width:
        first = first[:-1]
    return f"{first}…" if more else first
