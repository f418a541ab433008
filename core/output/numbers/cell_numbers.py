"""The numbers of a sweep's cells: measured against a reference cell, and their means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from PIL import Image

from core.diffusion.settings import GenerationSettings
from core.output.numbers.quantities import QUANTITIES
from core.sweeps.sweep import Sweep

Place = tuple[int, int, int]
Values = Mapping[str, float | None]
"""Name of a quantity -> value; None where it cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class ReportCell:
    """One cell as it is stored; `image` is its PNG file, None with a `reason` where there is none.

    `known` are the quantities that need no look at the picture, or were measured before. `drawn`
    are the words that its seed drew for the prompts' choices, "" where there are none.
    """

    x: int
    y: int
    z: int
    settings: GenerationSettings
    digest: str = ""
    image: Path | None = None
    known: Values = field(default_factory=dict[str, float | None])
    reason: str = ""
    drawn: str = ""

    @property
    def place(self) -> Place:
        return self.x, self.y, self.z


@dataclass(frozen=True, kw_only=True)
class CellNumbers:
    """What is measured of one cell. A quantity that is missing could not be: no picture, other
    sizes than the reference, no CLIP, no recorded steps.
    """

    x: int
    y: int
    z: int
    digest: str
    settings: GenerationSettings
    values: Values

    def value(self, name: str) -> float | None:
        """The quantity of this name."""
        return self.values.get(name)


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
    """The numbers of every cell, in order; those of two pictures only with a reference that has
    one.

    What is not known yet is measured: pictures are opened one at a time, equal ones (by digest)
    once. `progress` is told how many cells are done.
    """
    base = next((cell for cell in cells if cell.place == reference), None)
    base_image: Image.Image | None = None
    if base and any(_lacking(cell, has_reference=True) for cell in cells):
        base_image = open_picture(base.image)
    seen: dict[str, Values] = {}
    found: list[CellNumbers] = []
    for done, cell in enumerate(cells, start=1):
        if not cell.digest or cell.digest not in seen:
            seen[cell.digest] = _measured(cell, base_image)
        values = {name: cell.known.get(name, seen[cell.digest].get(name)) for name in QUANTITIES}
        found.append(
            CellNumbers(
                x=cell.x,
                y=cell.y,
                z=cell.z,
                digest=cell.digest,
                settings=cell.settings,
                values=values,
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
        values = [value for cell in cells if (value := cell.value(name)) is not None]
        return fmean(values) if values else None

    return Means(
        columns=tuple(mean([cell for cell in page if cell.x == x]) for x in range(columns)),
        rows=tuple(mean([cell for cell in page if cell.y == y]) for y in range(rows)),
        page=mean(page),
    )


def measure_picture(
    image: Image.Image, other: Image.Image | None = None
) -> dict[str, float | None]:
    """Every quantity of a picture by itself, or of it and another."""
    found: dict[str, float | None] = {}
    for quantity in QUANTITIES.values():
        if other is not None and quantity.of_pair is not None:
            found[quantity.name] = quantity.of_pair(image, other)
        elif other is None and quantity.of_picture is not None:
            found[quantity.name] = quantity.of_picture(image)
    return found


def open_picture(path: Path | None) -> Image.Image | None:
    """None for a file that is gone or damaged: its cell has no numbers."""
    try:
        if path is None:
            return None
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None


def _lacking(cell: ReportCell, *, has_reference: bool) -> bool:
    """Whether the picture has to be looked at."""
    needs = ("picture", "pair") if has_reference else ("picture",)
    return any(q.needs in needs and q.name not in cell.known for q in QUANTITIES.values())


def _measured(cell: ReportCell, reference: Image.Image | None) -> Values:
    if not _lacking(cell, has_reference=reference is not None):
        return {}
    image = open_picture(cell.image)
    if image is None:
        return {}
    pair = measure_picture(image, reference) if reference is not None else {}
    return measure_picture(image) | pair
