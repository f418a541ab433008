"""What a film shows, frame by frame: one run, or a whole grid that develops together.

Every frame is drawn when it is asked for, in any order: a film of any length needs one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from core.output.film.caption import Caption, CaptionStrip, lettering_size
from core.output.film.film import FilmError
from core.output.sheet.canvas import fit_picture, scaled_size
from core.output.sheet.layout import Background
from core.output.sheet.painter import (
    COLORS,
    SheetCell,
    largest_cell,
    open_picture,
)
from core.output.sheet.sheet import SheetOptions, fit_sheet, make_painter
from core.sweeps.sweep import Sweep

Pace = Literal["together", "by step"]
GAP = 4
"""Pixels of the stored picture's size between what stands side by side."""


class Frames(Protocol):
    """`count` frames of one size, each drawn on demand: uint8 (H, W, 3)."""

    @property
    def count(self) -> int: ...
    def frame(self, index: int) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RunFrames:
    """The chosen of one run: of each panel's title the pictures of its N calls, uint8 (H, W, 3)
    of any size, and the finished picture of `size` (width, height), in which every panel ends; None
    where each ends in its own last one.
    """

    panels: Mapping[str, Sequence[np.ndarray]]
    final: Image.Image | Path | None = None
    size: tuple[int, int]

    @property
    def calls(self) -> int:
        """UNet calls of the run, each with a frame in every panel."""
        return min((len(frames) for frames in self.panels.values()), default=0)

    def picture(self, index: int, paper: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
        """The panels at call `index`, side by side at the finished picture's size; the finished
        picture from `calls` on, where there is one.
        """
        width, height = self.size
        if self.final is not None and index >= self.calls:
            shown = [_open(self.final)] * len(self.panels)
        else:
            at = min(index, self.calls - 1)
            shown = [_picture(frames[at]) for frames in self.panels.values()]
        whole = Image.new("RGB", (panels_width(width, len(shown)), height), paper)
        for place, one in enumerate(shown):
            if one.size != self.size:
                one = one.resize(self.size, Image.Resampling.BICUBIC)
            whole.paste(one, (place * (width + GAP), 0))
        return whole


def panels_width(width: int, count: int) -> int:
    """Return the width of `count` pictures of this width side by side, with the gaps between
    them.
    """
    return count * width + (count - 1) * GAP


class RunFilm:
    """One run: its panels `scale` times as large, every pixel a square. The last frame is the
    finished picture, where there is one; with `titles`, each panel's stands above it.
    """

    def __init__(
        self,
        run: RunFrames,
        *,
        scale: int = 1,
        titles: bool = False,
        background: Background = "black",
    ) -> None:
        self.count = run.calls + (run.final is not None)
        self._run, self._scale = run, scale
        self._colors = COLORS[background]
        self._strip = None
        if titles:
            size = lettering_size(panels_width(run.size[0], len(run.panels)) * scale)
            words = [[title] for title in run.panels]
            self._strip = CaptionStrip(words, run.size[0] * scale, size, self._colors["ink"])

    def frame(self, index: int) -> np.ndarray:
        """Panels of call `index`; the finished picture at the end."""
        picture = fit_picture(self._run.picture(index, self._colors["paper"]), self._scale)
        if self._strip is None:
            return np.array(picture)
        top = self._strip.height
        canvas = Image.new("RGB", (picture.width, picture.height + top), self._colors["paper"])
        canvas.paste(picture, (0, top))
        for place in range(len(self._run.panels)):
            left = place * (self._run.size[0] + GAP) * self._scale
            self._strip.draw(canvas, place, left=left, top=0)
        return np.array(canvas)


@dataclass(frozen=True, kw_only=True, eq=False)
class FilmCell:
    """One cell of a grid's film: `frame(i)` gives its picture after i + 1 of `count` UNet calls.

    Its frames may be of any size (latent previews are small): each is scaled to the cell. `final`
    is the finished picture, shown from the last call on. With count 0 and no `final`, `reason`
    stands in the cell.
    """

    x: int
    y: int
    z: int = 0
    count: int
    frame: Callable[[int], np.ndarray | Image.Image]
    final: Image.Image | Path | None = None
    reason: str = ""


class GridFilm:
    """A page whose cells all denoise at once, laid out and labelled as the sheet.

    "together": all cells begin and finish at the same time, however many steps they have. "by
    step": one frame a UNet call, so that a cell of 10 steps stands finished while one of 40 goes
    on. The last frame is the finished sheet. `note` says what a person should know of how it is
    drawn: letters that no font has, smaller cells. Raises FilmError where no cell has any frames.
    """

    def __init__(
        self,
        sweep: Sweep,
        cells: Sequence[FilmCell],
        options: SheetOptions,
        *,
        z: int = 0,
        pace: Pace = "together",
    ) -> None:
        self._cells = [cell for cell in cells if cell.z == z]
        self._pace: Pace = pace
        longest = max((cell.count for cell in self._cells), default=0)
        if not longest:
            raise FilmError("No cell has recorded its steps: compute the sweep with its previews.")
        self.count = longest + 1
        stills = {(cell.x, cell.y): _still(cell, sweep) for cell in self._cells}
        shown = list(stills.values())
        self._painter = make_painter(sweep, shown, options, "film")
        self.note = fit_sheet(sweep, *largest_cell(sweep, shown), options, "film").note
        self._finished = self._painter.page(z)
        self._boxes = self._painter.cell_boxes(z)
        self._sizes = {at: largest_cell(sweep, [still]) for at, still in stills.items()}

    def call(self, count: int, index: int) -> int:
        """The call that a cell of `count` calls shows in frame `index`; `count` when finished."""
        return call_at(count, index, self.count, self._pace)

    def frame(self, index: int) -> np.ndarray:
        """The page at frame `index`."""
        canvas = self._finished.copy()
        for cell in self._cells:
            at, call = (cell.x, cell.y), self.call(cell.count, index)
            if call < cell.count:
                picture = _scaled(_picture(cell.frame(call)), self._sizes[at], self._painter.scale)
                self._painter.paste(canvas, picture, self._boxes[at])
        return np.array(canvas)


def call_at(calls: int, index: int, count: int, pace: Pace) -> int:
    """Which of a run's `calls` frame `index` of a film of `count` frames shows; `calls` is the
    finished picture.
    """
    if index >= count - 1:
        return calls
    return min(index, calls) if pace == "by step" else index * calls // (count - 1)


def grid_frames(
    sweep: Sweep,
    cells: Sequence[FilmCell],
    options: SheetOptions,
    *,
    z: int = 0,
    pace: Pace = "together",
) -> Iterator[np.ndarray]:
    """The frames of GridFilm, one after another."""
    film = GridFilm(sweep, cells, options, z=z, pace=pace)
    return (film.frame(index) for index in range(film.count))


class Captioned:
    """Frames with a line of text below each: a caption is its fields, which keep their
    places from frame to frame.
    """

    def __init__(
        self, frames: Frames, captions: Sequence[Caption], *, background: Background = "black"
    ) -> None:
        if len(captions) != frames.count:
            raise FilmError(f"{len(captions)} captions for {frames.count} frames.")
        self.count = frames.count
        self._frames = frames
        self._colors = COLORS[background]
        width = frames.frame(0).shape[1]
        self._strip = CaptionStrip(captions, width, lettering_size(width), self._colors["ink"])

    def frame(self, index: int) -> np.ndarray:
        """The frame above its caption."""
        picture = self._frames.frame(index)
        height, width = picture.shape[:2]
        canvas = Image.new("RGB", (width, height + self._strip.height), self._colors["paper"])
        canvas.paste(Image.fromarray(picture), (0, 0))
        self._strip.draw(canvas, index, left=0, top=height)
        return np.array(canvas)


def _still(cell: FilmCell, sweep: Sweep) -> SheetCell:
    """The cell when it has finished: its stored picture, else its last frame at its full size."""
    image = cell.final
    if image is None and cell.count:
        (settings,) = (
            c.settings for c in sweep.cells() if (c.x, c.y, c.z) == (cell.x, cell.y, cell.z)
        )
        size = (settings.width, settings.height)
        image = _picture(cell.frame(cell.count - 1)).resize(size, Image.Resampling.BICUBIC)
    return SheetCell(x=cell.x, y=cell.y, z=cell.z, image=image, reason=cell.reason)


def _scaled(picture: Image.Image, size: tuple[int, int], scale: float) -> Image.Image:
    """Scale as the sheet scales the finished picture of `size`; a preview, which is smaller,
    smoothly.
    """
    if picture.size == size:
        return fit_picture(picture, scale)
    return picture.resize(scaled_size(size, scale), Image.Resampling.BICUBIC)


def _picture(frame: np.ndarray | Image.Image) -> Image.Image:
    image = Image.fromarray(frame) if isinstance(frame, np.ndarray) else frame
    return image.convert("RGB")


def _open(image: Image.Image | Path) -> Image.Image:
    """Raises FilmError where the file is gone or damaged."""
    try:
        return open_picture(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise FilmError("The finished picture cannot be read: compute it again.") from error
