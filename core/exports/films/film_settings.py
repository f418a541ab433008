"""What a film shows of its runs and how it plays, and a run of it."""

from __future__ import annotations

from dataclasses import dataclass

from core.diffusion.trajectory import StepRecord
from core.exports.films.decoded_frames import Decoder, Kind
from core.output.film.film import FilmError
from core.output.film.frames import Pace
from core.output.sheet.layout import Background
from core.runs.store.store import StoredImage

MAX_FPS = 30
MAX_HOLD = 10.0
MAX_SCALE = 4


@dataclass(frozen=True, kw_only=True)
class FilmSettings:
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
class FilmedRun:
    """One run of a film, at its place in the grid. Without a picture, `reason` stands there;
    without `records` (of a run whose tensors were kept) the picture stands still.
    """

    image: StoredImage | None
    records: tuple[StepRecord, ...] = ()
    x: int = 0
    y: int = 0
    z: int = 0
    reason: str = ""
