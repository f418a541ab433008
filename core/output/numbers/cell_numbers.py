"""The numbers of a sweep's cells: measured against a reference cell, and their means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.output.numbers.metrics import rmse, ssim
from core.sweeps.sweep import Sweep

Place = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ReportCell:
    """One cell as it is stored; `image` is its PNG file, None with a `reason` where there is none.

    `final_latent_rms` is the latent's RMS at the last recorded step. `drawn` are the words that its
    seed drew for the prompts' choices, "" where there are none.
    """

    x: int
    y: int
    z: int
    settings: GenerationSettings
    digest: str = ""
    image: Path | None = None
    seconds: float | None = None
    clip_score: float | None = None
    final_latent_rms: float | None = None
    reason: str = ""
    drawn: str = ""

    @property
    def place(self) -> Place:
        return self.x, self.y, self.z


@dataclass(frozen=True, kw_only=True)
class CellNumbers:
    """What is measured of one cell. None where it cannot be: no picture, other sizes, no CLIP.

    `rmse` in 0 to 255 and `ssim` up to 1 compare with the reference cell.
    """

    x: int
    y: int
    z: int
    digest: str
    settings: GenerationSettings
    seconds: float | None
    rmse: float | None
    ssim: float | None
    clip_score: float | None
    final_latent_rms: float | None


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A field of CellNumbers as people read it."""

    name: str
    label: str
    digits: int
    note: str

    def of(self, cell: CellNumbers) -> float | None:
        return getattr(cell, self.name)

    def show(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.{self.digits}f}"


QUANTITIES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(name="rmse", label="RMSE", digits=2, note="to the reference, 0 to 255"),
        Quantity(name="ssim", label="SSIM", digits=3, note="with the reference, 1 is equal"),
        Quantity(name="clip_score", label="CLIP score", digits=1, note="picture and prompt"),
        Quantity(
            name="seconds",
            label="Computing time (s)",
            digits=2,
            note="the picture's own share of the batch, by UNet rows",
        ),
        Quantity(name="final_latent_rms", label="Final latent RMS", digits=3, note="last step"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Means:
    """The means of one page: of each column, of each row, and of all. None where nothing was
    measured.
    """

    columns: tuple[float | None, ...]
    rows: tuple[float | None, ...]
    page: float | None


def numbers(
    cells: Sequence[ReportCell],
    reference: Place | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[CellNumbers]:
    """The numbers of every cell, in order; RMSE and SSIM only with a reference that has a picture.

    Pictures are opened one at a time, equal ones (by digest) measured once. `progress` is told
    how many cells are done.
    """
    base = next((cell for cell in cells if cell.place == reference), None)
    base_image = _open(base.image) if base else None
    known: dict[str, tuple[float | None, float | None]] = {}
    found: list[CellNumbers] = []
    for done, cell in enumerate(cells, start=1):
        if not cell.digest or cell.digest not in known:
            known[cell.digest] = _compare(cell, base_image)
        difference, similarity = known[cell.digest]
        found.append(
            CellNumbers(
                x=cell.x,
                y=cell.y,
                z=cell.z,
                digest=cell.digest,
                settings=cell.settings,
                seconds=cell.seconds,
                rmse=difference,
                ssim=similarity,
                clip_score=cell.clip_score,
                final_latent_rms=cell.final_latent_rms,
            )
        )
        if progress is not None:
            progress(done)
    return found


def means(sweep: Sweep, found: Sequence[CellNumbers], name: str, z: int = 0) -> Means:
    """The means of a quantity over the cells of a page that have it."""
    columns, rows, _ = sweep.shape()
    page = [cell for cell in found if cell.z == z]

    def mean(cells: Sequence[CellNumbers]) -> float | None:
        values = [value for cell in cells if (value := QUANTITIES[name].of(cell)) is not None]
        return fmean(values) if values else None

    return Means(
        columns=tuple(mean([cell for cell in page if cell.x == x]) for x in range(columns)),
        rows=tuple(mean([cell for cell in page if cell.y == y]) for y in range(rows)),
        page=mean(page),
    )


def _compare(cell: ReportCell, reference: Image.Image | None) -> tuple[float | None, float | None]:
    image = _open(cell.image) if reference is not None else None
    if image is None or reference is None or image.size != reference.size:
        return None, None
    return rmse(image, reference), ssim(image, reference) if min(image.size) >= 11 else None


def _open(path: Path | None) -> Image.Image | None:
    """None for a file that is gone or damaged: its cell has no numbers."""
    try:
        if path is None:
            return None
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
