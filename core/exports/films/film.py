"""Film: one run or a page of a sweep, drawn from decoded frames, and kept on disk.

A film's file is found again by all that determines it. Decoding what is missing and writing the
file are one task for the worker (core/exports/films/film_task.py), a frame or two a piece.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from PIL import Image

from core.exports.films.captions import caption
from core.exports.films.decoded_frames import FrameCache, Kind
from core.exports.films.film_settings import FilmedRun, FilmSettings
from core.exports.films.kept import FileFormat, as_task_errors, kept_films, write_kept
from core.output.film.film import FilmError, playback
from core.output.film.frames import (
    Captioned,
    FilmCell,
    Frames,
    GridFilm,
    RunFilm,
    RunFrames,
    call_at,
    panels_width,
)
from core.output.sheet.painter import COLORS
from core.output.sheet.sheet import SheetOptions
from core.runs.store.store import Store, StoredImage
from core.runs.worker.tasks.work import InPool, OnModel, Work
from core.sweeps.sweep import Sweep

VERSION = 1
"""Raised when the same film would be drawn in another way, so that no kept file is mistaken."""

SIDE_BY_SIDE_BYTES = 300_000_000
TITLES: Mapping[Kind, str] = {"latents": "Noisy latents", "x0": "Predicted x₀"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """One run, or page `z` of a sweep, as `settings` says. `runs` are all cells of the page."""

    store: Store
    settings: FilmSettings
    runs: tuple[FilmedRun, ...]
    sweep: Sweep | None = None
    z: int = 0

    @cached_property
    def filmed(self) -> tuple[tuple[StoredImage, FilmedRun], ...]:
        """The runs that move: whose picture and steps are there."""
        return tuple((s.image, s) for s in self.runs if s.image is not None and s.records)

    @property
    def count(self) -> int:
        """Frames: one a UNet call of the longest run, and the finished picture."""
        return max((len(run.records) for _, run in self.filmed), default=0) + 1

    @property
    def played(self) -> list[int]:
        """The numbers of the frames, in the order in which they are shown."""
        held = round(self.settings.hold * self.settings.fps)
        return playback(self.count, held=held, there_and_back=self.settings.there_and_back)

    def call(self, run: FilmedRun, index: int) -> int:
        """The call of this run that frame `index` shows; the number of its calls at the end."""
        return call_at(len(run.records), index, self.count, self.settings.pace)

    def name(self, format: FileFormat) -> str:
        """The file's name: a digest of all that determines it."""
        runs = [
            (s.x, s.y, s.z, s.image.digest if s.image else "", len(s.records), s.reason)
            for s in self.runs
        ]
        sweep = self.sweep.to_dict() if self.sweep else None
        content = [VERSION, asdict(self.settings), runs, sweep, self.z]
        text = json.dumps(content, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.{format}"

    def find(self, format: FileFormat) -> Path | None:
        """The file, where it was made before and is still kept."""
        return kept_films(self.store).find(self.name(format))

    def not_decoded(self) -> dict[str, list[tuple[StoredImage, int]]]:
        """Model -> the images some of whose frames are not decoded, and their numbers of calls."""
        found: dict[str, dict[str, tuple[StoredImage, int]]] = {}
        for image, run in self.filmed:
            if self._cache.missing(image, self.settings.kinds, self.settings.decoder):
                source = image.settings.model
                found.setdefault(source, {})[image.digest] = (image, len(run.records))
        return {source: list(images.values()) for source, images in found.items()}

    def work(self, format: FileFormat) -> Work:
        """A task: decode the frames that are missing, on each run's own model, then write the
        film in the pool. Its result is the name of the file.
        """
        with as_task_errors():
            for source, images in self.not_decoded().items():
                yield from self._decode(source, images)
            yield InPool()
            order = list(range(self.count)) if format == "zip" else self.played
            frames = _drawn(self.frames, order)
            return (
                yield from write_kept(
                    self.store, self.name(format), frames, len(order), format, self.settings.fps
                )
            )

    def _decode(self, source: str, wanted: Sequence[tuple[StoredImage, int]]) -> Work:
        """The frames of the images of this model; the model is let go of at the end."""
        model = yield OnModel(source=source)
        settings = self.settings
        lacking = {
            image.digest: self._cache.missing(image, settings.kinds, settings.decoder)
            for image, _ in wanted
        }
        total = sum(calls * len(lacking[image.digest]) for image, calls in wanted)
        before = 0
        for image, calls in wanted:
            kinds = lacking[image.digest]
            for done in self._cache.decode(model, image, kinds, settings.decoder):
                yield before + done, total
            before += calls * len(kinds)
        self._cache.tidy([image for image, _ in self.filmed], settings.kinds, settings.decoder)

    @cached_property
    def frames(self) -> Frames:
        """The frames, drawn on demand. Raises FilmError, SheetError or StoreError."""
        if not self.filmed:
            raise FilmError("No run has recorded its steps.")
        if not self.settings.caption:
            return self._bare
        return Captioned(self._bare, self.captions(), background=self.settings.background)

    @property
    def note(self) -> str:
        """What a person should know of how it is drawn: labels with letters that no font has; ""
        else. Raises as `frames`.
        """
        return self._bare.note if isinstance(self._bare, GridFilm) else ""

    @cached_property
    def _bare(self) -> RunFilm | GridFilm:
        """Without captions."""
        return self._run_frames() if self.sweep is None else self._grid_frames(self.sweep)

    def captions(self) -> list[list[str]]:
        """What stands below each frame."""
        runs = [(image.settings, run) for image, run in self.filmed]
        return [
            caption(
                [(settings, run.records, self.call(run, i)) for settings, run in runs],
                i,
                self.count,
            )
            for i in range(self.count)
        ]

    def _frames_of(self, image: StoredImage) -> RunFrames:
        panels: dict[str, Sequence[np.ndarray]] = {}
        for kind in self.settings.kinds:
            frames = self._cache.find(image, kind, self.settings.decoder)
            if frames is None:
                raise FilmError("The frames are no longer kept: make the film again.")
            panels[TITLES[kind]] = frames
        size = (image.settings.width, image.settings.height)
        return RunFrames(panels=panels, final=image.path, size=size)

    def _run_frames(self) -> RunFilm:
        settings, image = self.settings, self.filmed[0][0]
        self.store.image_bytes(image.digest)  # a damaged picture is said before it is drawn
        titles = settings.caption and len(settings.kinds) > 1
        return RunFilm(
            self._frames_of(image),
            scale=settings.scale,
            titles=titles,
            background=settings.background,
        )

    def _grid_frames(self, sweep: Sweep) -> GridFilm:
        settings = self.settings
        sizes = [(s.image.settings.width, s.image.settings.height) for s in self.runs if s.image]
        panels = len(settings.kinds)
        if panels > 1 and sum(w * h * 3 * panels for w, h in sizes) > SIDE_BY_SIDE_BYTES:
            raise FilmError("So many cells side by side take too much memory: show one of the two.")
        longest = max(max(panels_width(w, panels), h) for w, h in sizes)
        options = SheetOptions(cell_size=longest * settings.scale, background=settings.background)
        cells = [self._cell(run) for run in self.runs]
        return GridFilm(sweep, cells, options, z=self.z, pace=settings.pace)

    def _cell(self, run: FilmedRun) -> FilmCell:
        paper = COLORS[self.settings.background]["paper"]
        final: Path | Image.Image | None = run.image.path if run.image else None
        frame = _no_frame
        if run.image is not None and run.records:
            shown = self._frames_of(run.image)
            frame = partial(shown.picture, paper=paper)
            if len(shown.panels) > 1:
                final = frame(shown.calls)
        return FilmCell(
            x=run.x,
            y=run.y,
            z=run.z,
            count=len(run.records),
            frame=frame,
            final=final,
            reason=run.reason,
        )

    @cached_property
    def _cache(self) -> FrameCache:
        return FrameCache(self.store)


def _drawn(frames: Frames, order: Sequence[int]) -> Iterator[np.ndarray]:
    """A frame that is held is drawn once."""
    last, frame = -1, np.empty(0)
    for index in order:
        if index != last:
            last, frame = index, frames.frame(index)
        yield frame


def _no_frame(index: int) -> Image.Image:
    raise FilmError(f"There is no frame {index}.")
