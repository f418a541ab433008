"""A sweep exported: its stored cells as a sheet, a film, a page, numbers or files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import describe
from core.diffusion.trajectory import Trajectory
from core.exports.effects.appendix import Appendix, appendix_of
from core.exports.effects.appendix_pdf import add_appendix
from core.exports.effects.found import find_effects, stored_grid
from core.exports.measuring import measure_missing, unet_rows
from core.exports.report import (
    INLINE_LIMIT,
    CellNumbers,
    Place,
    ReportCell,
    inlined_size,
    numbers,
    write_csv,
    write_html,
    write_html_zip,
    write_zip,
)
from core.output.film.film import FilmFormat, write_film
from core.output.film.frames import FilmCell, grid_frames
from core.output.sheet.painter import largest_cell
from core.output.sheet.sheet import (
    Medium,
    SheetCell,
    SheetFormat,
    SheetOptions,
    SheetSize,
    captions_of,
    fit_sheet,
    write_sheet,
)
from core.runs.store.store import Store, StoredImage, StoreError
from core.sweeps.drawn import said
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep

FILM_SECONDS = 6.0
FASTEST_FILM = 12.0
NOT_COMPUTED = "Not computed"


def planned_sheet(sweep: Sweep, plan: Plan) -> SheetSize:
    """What the labelled grid will be as a PNG, before any cell is computed. Raises SheetError."""
    settings = [cell.settings for cell in plan.cells]
    width, height = max(s.width for s in settings), max(s.height for s in settings)
    captions = {(cell.x, cell.y, cell.z): said(cell.drawn) for cell in plan.cells if cell.drawn}
    return fit_sheet(sweep, width, height, SheetOptions(), captions=captions)


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepExport:
    """A planned sweep and what stands in its cells: the stored image of each digest.

    `reasons` says, by a cell's index in the plan, why it has none. `reference` is the place that
    RMSE and SSIM compare with. `with_effects` adds what the axes do to the web page and to the PDF,
    where anything but the seed varies.
    """

    store: Store
    sweep: Sweep
    plan: Plan
    reasons: Mapping[int, str]
    options: SheetOptions
    reference: Place = (0, 0, 0)
    with_effects: bool = False

    def sheet(self, format: SheetFormat) -> bytes:
        """The labelled grid. Raises SheetError."""
        appendix = self._appendix() if format == "pdf" else None
        more = partial(add_appendix, appendix=appendix) if appendix else None
        return write_sheet(self.sweep, self._sheet_cells(), self.options, format, more)

    def size(self, medium: Medium) -> SheetSize:
        """What the labelled grid will be, and a note on what is not as asked. Raises SheetError."""
        cells = self._sheet_cells()
        reasons = sorted({cell.reason for cell in cells if cell.image is None} - {""})
        width, height = largest_cell(self.sweep, cells)
        captions = captions_of(cells)
        return fit_sheet(self.sweep, width, height, self.options, medium, reasons, captions)

    def _sheet_cells(self) -> list[SheetCell]:
        return [
            SheetCell(
                x=cell.x,
                y=cell.y,
                z=cell.z,
                image=cell.image,
                reason=cell.reason,
                caption=cell.drawn,
            )
            for cell in self.cells()
        ]

    def film(
        self,
        format: FilmFormat,
        *,
        z: int = 0,
        by_step: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> bytes:
        """A page of the grid denoising together, from trajectories that kept their tensors.

        Raises FilmError where no cell has one.
        """
        cells = [self._film_cell(cell) for cell in self.cells() if cell.z == z]
        longest = max((cell.count for cell in cells), default=0)
        frames = grid_frames(
            self.sweep, cells, self.options, z=z, pace="by step" if by_step else "together"
        )
        fps = min(FASTEST_FILM, max(2.0, longest / FILM_SECONDS))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"film.{format}"
            write_film(frames, path, format, fps=fps, progress=progress)
            return path.read_bytes()

    def csv(self) -> bytes:
        """A row a cell with all its numbers and settings."""
        cells = self.cells(measured=True)
        return write_csv(self.sweep, cells, self.numbers(cells))

    def numbers(self, cells: Sequence[ReportCell] | None = None) -> list[CellNumbers]:
        """The numbers of every cell; `cells` are those of `cells(measured=True)`."""
        return numbers(cells or self.cells(measured=True), self.reference)

    def zip(self) -> bytes:
        """The stored files, byte for byte, with the CSV and the sweep."""
        cells = self.cells(measured=True)
        return write_zip(self.sweep, cells, self.numbers(cells))

    @property
    def is_large(self) -> bool:
        """Return whether one HTML file would be too large with the pictures inside."""
        return inlined_size(self.cells()) > INLINE_LIMIT

    def page(self) -> bytes:
        """A page that works offline: HTML, or where `is_large` a ZIP of it with the pictures."""
        cells = self.cells(measured=True)
        write = write_html_zip if self.is_large else write_html
        found = self.numbers(cells)
        return write(
            self.sweep,
            cells,
            found,
            title=self.options.title,
            reference=self.reference,
            appendix=self._appendix(),
        )

    def _appendix(self) -> Appendix | None:
        """What the axes do, where it is asked for and there is something to compare."""
        if not self.with_effects or len(self.reasons) == len(self.plan.cells):
            return None
        measured = stored_grid(
            self.store, self.sweep, self.plan, self.reasons, reference=self.reference
        )
        return appendix_of(find_effects(measured)) if measured.grid.factors else None

    def cells(self, *, measured: bool = False) -> list[ReportCell]:
        """Every cell in the plan's order; `measured` looks at the pictures that were not measured
        against the reference yet, and keeps what it finds.
        """
        images = {
            digest: image
            for index, digest in enumerate(self.plan.digests)
            if index not in self.reasons and (image := self.store.get(digest)) is not None
        }
        known = self._measured(images) if measured else {}
        found: list[ReportCell] = []
        for index, (cell, digest) in enumerate(
            zip(self.plan.cells, self.plan.digests, strict=True)
        ):
            image = None if index in self.reasons else images.get(digest)
            stored = {"seconds": image.seconds, "clip_score": image.clip_score} if image else {}
            found.append(
                ReportCell(
                    x=cell.x,
                    y=cell.y,
                    z=cell.z,
                    settings=cell.settings,
                    digest=digest,
                    image=image.path if image else None,
                    known={**stored, **known.get(digest, {})} if image else {},
                    reason="" if image else self.reasons.get(index, NOT_COMPUTED),
                    drawn=said(cell.drawn),
                )
            )
        return found

    def reference_digest(self) -> str | None:
        """The digest of the cell that the others are measured against, None where it has no
        picture.
        """
        for index, (cell, digest) in enumerate(
            zip(self.plan.cells, self.plan.digests, strict=True)
        ):
            if (cell.x, cell.y, cell.z) == self.reference and index not in self.reasons:
                return digest
        return None

    def _measured(self, images: Mapping[str, StoredImage]) -> dict[str, dict[str, float | None]]:
        """Digest -> what is measured of each picture, and of it and the reference."""
        other = self.reference_digest()
        pairs = [(digest, other) for digest in images] if other in images and other else []
        known = measure_missing(self.store, list(images), pairs, model=self.sweep.base.model)
        rows = unet_rows(image.settings for image in images.values())
        return {
            digest: {
                **known.values.get(digest, {}),
                **(known.of_pair(digest, other) if pairs and other else {}),
                "unet_rows": rows.get(image.settings),
            }
            for digest, image in images.items()
        }

    def _trajectory(self, digest: str) -> Trajectory | None:
        """A damaged trajectory is one number missing, not a reason to export nothing."""
        try:
            return self.store.trajectory(digest)
        except StoreError:
            return None

    def _film_cell(self, cell: ReportCell) -> FilmCell:
        trajectory = self._trajectory(cell.digest) if cell.image else None
        tensors = trajectory.pred_original_sample if trajectory else None
        frames: list[np.ndarray] = []
        if tensors is not None:
            info = describe(cell.settings.model)
            frames = [preview_rgb(latents, info) for latents in tensors]
        return FilmCell(
            x=cell.x,
            y=cell.y,
            z=cell.z,
            count=len(frames),
            frame=frames.__getitem__,
            final=cell.image,
            reason=cell.reason,
        )
