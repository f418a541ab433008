"""Films a 4 x 4 grid of small runs, 20 frames and then 200, and says how much memory each took.

python tests/core/films/long_film.py FOLDER
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

from core.exports.films.film import Film
from core.exports.films.film_settings import FilmSettings
from core.runs.store.store import Store
from core.runs.worker.tasks.work import OnModel
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.exports.films.doubles import FilmModel, put_run, settings

SWEEP = Sweep(
    base=settings(),
    x=Axis(name="guidance_scale", values=(2.0, 3.0, 4.0, 5.0)),
    y=Axis(name="seed", values=(1, 2, 3, 4)),
)


def main() -> None:
    folder = Path(sys.argv[1])
    before = film(folder / "short", 19)[1]
    frames, after = film(folder / "long", 199)
    encoder = peak_mb(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "frames": frames,
                "peak_mb": after,
                "growth_mb": after - before,
                "encoder_mb": encoder,
            }
        )
    )


def film(folder: Path, calls: int) -> tuple[int, float]:
    """Frames of the film, and the most memory that this process has held so far."""
    store, model = Store(folder), FilmModel()
    runs = tuple(
        replace(put_run(store, cell.settings, calls), x=cell.x, y=cell.y) for cell in SWEEP.cells()
    )
    shown = FilmSettings(kinds=("x0",), scale=2, fps=30, hold=0)
    made = Film(store=store, settings=shown, runs=runs, sweep=SWEEP)
    said, work = [0, 0], made.work("mp4")
    assert isinstance(next(work), OnModel)
    work.send(model)
    for piece in work:
        if isinstance(piece, tuple):
            said[:] = piece
    assert said == [made.count, made.count]
    return made.count, own_peak_mb()


def own_peak_mb() -> float:
    """Linux counts what the program that started this one held into ru_maxrss, not into VmHWM."""
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_mb(resource.RUSAGE_SELF)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def peak_mb(whose: int) -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
