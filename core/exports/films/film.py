"""Film: one run or a page of a sweep as a moving picture, drawn from reels and kept on disk.

A film's file is found again by all that determines it. Decoding what is missing and writing the
file are one task for the worker (core/exports/films/film_task.py), a frame or two a piece.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from core.diffusion.trajectory import StepRecord
from core.exports.films.captions import caption
from core.exports.films.reels import Decoder, Kind, Reels
from core.output.film.film import FilmError, film_pieces, playback, zip_pieces
from core.output.film.frames import (
    Captioned,
    FilmCell,
    GridFilm,
    Pace,
    RunFilm,
    Scene,
    Take,
    call_at,
    panels_width,
)
from core.output.sheet.layout import Background
from core.output.sheet.painter import COLORS
from core.output.sheet.sheet import SheetError, SheetOptions
from core.runs.store.shelf import Shelf
from core.runs.store.store import Store, StoredImage, StoreError
from core.runs.worker.tasks.runner import InPool, OnModel, TaskError, Work
from core.sweeps.sweep import Sweep

FileFormat = Literal["mp4", "gif", "webp", "zip"]

VERSION = 1
"""Raised when the same film would be drawn in another way, so that no kept file is mistaken."""

KEPT_FILMS = 20
SIDE_BY_SIDE_BYTES = 300_000_000
MAX_FPS = 30
MAX_HOLD = 10.0
MAX_SCALE = 4
TITLES: Mapping[Kind, str] = {"latents": "Noisy latents", "x0": "Predicted x₀"}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a film shows of its runs and how it plays. Raises FilmError.

    `kinds`: x_t as the UNet gets it (variance preserving, decoded as if it were clean), and the
    x0 that the UNet predicts of it. `scale` enlarges stored pictures by a whole number. `hold` is
    in seconds. `pace` is that of GridFilm.
    """

    kinds: tuple[Kind, ...] = ("latents", "x0")
    decoder: Decoder = "vae"
    caption: bool = True
    fps: int = 8
    hold: float = 1.0
    there_and_back: bool = False
    scale: int = 1
    pace: Pace = "together"
    background: Background = "black"

    def __post_init__(self) -> None:
        bounds = {"fps": (1, MAX_FPS), "hold": (0, MAX_HOLD), "scale": (1, MAX_SCALE)}
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise FilmError(f"{name} {getattr(self, name):g}: use {low} to {high:g}.")
        if not self.kinds:
            raise FilmError("The film shows nothing: choose the latents or the prediction.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One run of a film, at its place in the grid. Without a picture, `reason` stands there;
    without `records` (of a run whose tensors were kept) the picture stands still.
    """

    image: StoredImage | None
    records: tuple[StepRecord, ...] = ()
    x: int = 0
    y: int = 0
    z: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """One run, or page `z` of a sweep, as `cut` says. `shots` are all cells of the page."""

    store: Store
    cut: Cut
    shots: tuple[Shot, ...]
    sweep: Sweep | None = None
    z: int = 0

    @cached_property
    def filmed(self) -> tuple[tuple[StoredImage, Shot], ...]:
        """The shots that move: whose picture and steps are there."""
        return tuple((s.image, s) for s in self.shots if s.image is not None and s.records)

    @property
    def count(self) -> int:
        """Frames: one a UNet call of the longest run, and the finished picture."""
        return max((len(shot.records) for _, shot in self.filmed), default=0) + 1

    @property
    def played(self) -> list[int]:
        """The numbers of the frames, in the order in which they are shown."""
        held = round(self.cut.hold * self.cut.fps)
        return playback(self.count, held=held, there_and_back=self.cut.there_and_back)

    def call(self, shot: Shot, index: int) -> int:
        """The call of this shot that frame `index` shows; the number of its calls at the end."""
        return call_at(len(shot.records), index, self.count, self.cut.pace)

    def name(self, format: FileFormat) -> str:
        """The file's name: a digest of all that determines it."""
        shots = [
            (s.x, s.y, s.z, s.image.digest if s.image else "", len(s.records), s.reason)
            for s in self.shots
        ]
        sweep = self.sweep.to_dict() if self.sweep else None
        content = [VERSION, asdict(self.cut), shots, sweep, self.z]
        text = json.dumps(content, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.{format}"

    def find(self, format: FileFormat) -> Path | None:
        """The file, where it was made before and is still kept."""
        return self._films.find(self.name(format))

    def undeveloped(self) -> dict[str, list[tuple[StoredImage, int]]]:
        """Model -> the images some of whose reels are missing, and their numbers of calls."""
        found: dict[str, dict[str, tuple[StoredImage, int]]] = {}
        for image, shot in self.filmed:
            if self._reels.missing(image, self.cut.kinds, self.cut.decoder):
                source = image.settings.model
                found.setdefault(source, {})[image.digest] = (image, len(shot.records))
        return {source: list(images.values()) for source, images in found.items()}

    def work(self, format: FileFormat) -> Work:
        """A task: decode the frames that are missing, on each run's own model, then write the
        film in the pool. Its result is the name of the file.
        """
        with _as_task_errors():
            for source, images in self.undeveloped().items():
                yield from self._decode(source, images)
            yield InPool()
            path = self._films.place(self.name(format))
            order = list(range(self.count)) if format == "zip" else self.played
            for done in _pieces(_drawn(self.scene, order), path, format, self.cut.fps):
                yield done, len(order)
            self._films.tidy(keep=[path])
            return path.name

    def _decode(self, source: str, wanted: Sequence[tuple[StoredImage, int]]) -> Work:
        """The frames of the images of this model; the model is let go of at the end."""
        model = yield OnModel(source=source)
        cut = self.cut
        lacking = {
            image.digest: self._reels.missing(image, cut.kinds, cut.decoder) for image, _ in wanted
        }
        total = sum(calls * len(lacking[image.digest]) for image, calls in wanted)
        before = 0
        for image, calls in wanted:
            kinds = lacking[image.digest]
            for done in self._reels.shoot(model, image, kinds, cut.decoder):
                yield before + done, total
            before += calls * len(kinds)
        self._reels.tidy([image for image, _ in self.filmed], cut.kinds, cut.decoder)

    @cached_property
    def scene(self) -> Scene:
        """The frames, drawn on demand. Raises FilmError, SheetError or StoreError."""
        if not self.filmed:
            raise FilmError("No run has recorded its steps.")
        if not self.cut.caption:
            return self._bare
        return Captioned(self._bare, self.captions(), background=self.cut.background)

    @property
    def note(self) -> str:
        """What a person should know of how it is drawn: labels with letters that no font has; ""
        else. Raises as `scene`.
        """
        return self._bare.note if isinstance(self._bare, GridFilm) else ""

    @cached_property
    def _bare(self) -> RunFilm | GridFilm:
        """Without captions."""
        return self._run_scene() if self.sweep is None else self._grid_scene(self.sweep)

    def captions(self) -> list[list[str]]:
        """What stands below each frame."""
        runs = [(image.settings, shot) for image, shot in self.filmed]
        return [
            caption(
                [(settings, shot.records, self.call(shot, i)) for settings, shot in runs],
                i,
                self.count,
            )
            for i in range(self.count)
        ]

    def _take(self, image: StoredImage) -> Take:
        panels: dict[str, Sequence[np.ndarray]] = {}
        for kind in self.cut.kinds:
            reel = self._reels.find(image, kind, self.cut.decoder)
            if reel is None:
                raise FilmError("The frames are no longer kept: make the film again.")
            panels[TITLES[kind]] = reel
        size = (image.settings.width, image.settings.height)
        return Take(panels=panels, final=image.path, size=size)

    def _run_scene(self) -> RunFilm:
        cut, image = self.cut, self.filmed[0][0]
        self.store.image_bytes(image.digest)  # a damaged picture is said before it is drawn
        titles = cut.caption and len(cut.kinds) > 1
        return RunFilm(self._take(image), scale=cut.scale, titles=titles, background=cut.background)

    def _grid_scene(self, sweep: Sweep) -> GridFilm:
        cut = self.cut
        sizes = [(s.image.settings.width, s.image.settings.height) for s in self.shots if s.image]
        panels = len(cut.kinds)
        if panels > 1 and sum(w * h * 3 * panels for w, h in sizes) > SIDE_BY_SIDE_BYTES:
            raise FilmError("So many cells side by side take too much memory: show one of the two.")
        longest = max(max(panels_width(w, panels), h) for w, h in sizes)
        options = SheetOptions(cell_size=longest * cut.scale, background=cut.background)
        cells = [self._cell(shot) for shot in self.shots]
        return GridFilm(sweep, cells, options, z=self.z, pace=cut.pace)

    def _cell(self, shot: Shot) -> FilmCell:
        paper = COLORS[self.cut.background]["paper"]
        final: Path | Image.Image | None = shot.image.path if shot.image else None
        frame = _no_frame
        if shot.image is not None and shot.records:
            take = self._take(shot.image)
            frame = partial(take.picture, paper=paper)
            if len(take.panels) > 1:
                final = frame(take.calls)
        return FilmCell(
            x=shot.x,
            y=shot.y,
            z=shot.z,
            count=len(shot.records),
            frame=frame,
            final=final,
            reason=shot.reason,
        )

    @cached_property
    def _films(self) -> Shelf:
        return Shelf(self.store.folder / "films", most_files=KEPT_FILMS)

    @cached_property
    def _reels(self) -> Reels:
        return Reels(self.store)


def _pieces(
    frames: Iterator[np.ndarray], path: Path, format: FileFormat, fps: int
) -> Iterator[int]:
    if format == "zip":
        return zip_pieces(frames, path)
    return film_pieces(frames, path, format, fps)


def _drawn(scene: Scene, order: Sequence[int]) -> Iterator[np.ndarray]:
    """A frame that is held is drawn once."""
    last, frame = -1, np.empty(0)
    for index in order:
        if index != last:
            last, frame = index, scene.frame(index)
        yield frame


def _no_frame(index: int) -> Image.Image:
    raise FilmError(f"There is no frame {index}.")


@contextmanager
def _as_task_errors() -> Generator[None]:
    """What can be said to a person, as the worker's tasks say it."""
    try:
        yield
    except (FilmError, SheetError, StoreError) as error:
        raise TaskError(str(error)) from error
    except OSError as error:
        raise TaskError(f"The film could not be written ({error.strerror or error}).") from error
