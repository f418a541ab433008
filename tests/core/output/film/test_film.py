"""Films, decoded again: as many frames as went in, of their size and colours."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from core.output.film.film import FilmError, FilmFormat, write_film
from core.output.film.frames import FilmCell, grid_frames
from core.output.sheet.sheet import SheetOptions
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.output.sweep_doubles import BASE, box_of, color_of, flat, grid_sweep

FORMATS: list[FilmFormat] = ["mp4", "gif", "webp"]
COLORS = [(200, 40, 60), (40, 160, 90), (50, 80, 210), (230, 190, 40), (128, 128, 128)]


def frames(width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [np.full((height, width, 3), color, np.uint8) for color in COLORS]


def decoded(path: Path) -> tuple[list[np.ndarray], float]:
    """Every frame as RGB, and the seconds that the film lasts."""
    if path.suffix == ".mp4":
        reader = imageio_ffmpeg.read_frames(str(path))
        about = next(reader)
        width, height = about["size"]
        found = [np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]
        return found, about["duration"]
    found, seconds = [], 0.0
    with Image.open(path) as film:
        for index in range(film.n_frames):
            film.seek(index)
            found.append(np.asarray(film.convert("RGB")))
            seconds += film.info["duration"] / 1000
    return found, seconds


@pytest.mark.parametrize("format", FORMATS)
def test_a_film_has_every_frame_and_its_colours(format: FilmFormat, tmp_path: Path) -> None:
    path = tmp_path / f"film.{format}"
    done: list[int] = []
    write_film(frames(), path, format, fps=5, hold=1.0, progress=done.append)
    found, seconds = decoded(path)
    assert done == [1, 2, 3, 4, 5]
    assert len(found) >= 5
    assert seconds == pytest.approx(2.0, abs=0.21)
    assert found[0].shape == (48, 64, 3)
    for index in (*range(5), -1):
        error = np.abs(found[index].astype(int) - frames()[index].astype(int)).max()
        assert error <= 6, (index, error)
    assert not path.with_name(path.name + ".part").exists()


def test_an_mp4_plays_everywhere_and_while_it_loads(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_film(frames(63, 47), path, "mp4", fps=10, hold=0.5)
    found, _ = decoded(path)
    assert len(found) == 10
    assert found[0].shape == (48, 64, 3)  # even, not stretched to a multiple of 16
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    about = subprocess.run([ffmpeg, "-i", path], capture_output=True, text=True).stderr
    assert re.search(r"h264.*yuv420p\(tv, bt709", about), about
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    held: list[int] = []

    def stream() -> Iterator[np.ndarray]:
        for index in range(40):
            held.append(index)
            yield np.full((48, 64, 3), index, np.uint8)

    seen: list[tuple[int, int]] = []
    path = tmp_path / "film.mp4"
    write_film(stream(), path, "mp4", 20, 0, lambda done: seen.append((done, len(held))))
    assert all(taken == done for done, taken in seen)


def test_a_stopped_film_is_a_whole_film(tmp_path: Path) -> None:
    def stopped() -> Iterator[np.ndarray]:
        yield from frames()[:2]

    write_film(stopped(), tmp_path / "film.mp4", "mp4", fps=5, hold=0)
    assert len(decoded(tmp_path / "film.mp4")[0]) == 2


def test_a_failed_film_leaves_nothing_behind(tmp_path: Path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield frames()[0]
        raise KeyError("the store is gone")

    with pytest.raises(KeyError):
        write_film(failing(), tmp_path / "film.mp4", "mp4", fps=5)
    with pytest.raises(FilmError, match="differ in size"):
        write_film([frames()[0], frames(32)[0]], tmp_path / "film.gif", "gif", fps=5)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_film_is_said(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    with pytest.raises(FilmError, match="no frames"):
        write_film([], path, "gif", fps=5)
    with pytest.raises(FilmError, match="up to 50"):
        write_film(frames(), path, "gif", fps=60)
    with pytest.raises(FilmError, match="not uint8"):
        write_film([np.zeros((4, 4))], path, "gif", fps=5)
    with pytest.raises(FilmError, match="could not be written"):
        write_film(frames(), tmp_path / "absent" / "film.mp4", "mp4", fps=5)


def step_color(x: int, step: int) -> tuple[int, int, int]:
    return (7 + step, 11 * (x + 1), 3)


def film_cells(counts: list[int]) -> list[FilmCell]:
    """A cell a count, whose frames are 8 x 8 pictures of `step_color`."""

    def cell(x: int, count: int) -> FilmCell:
        return FilmCell(
            x=x,
            y=0,
            count=count,
            frame=lambda step: np.full((8, 8, 3), step_color(x, step), np.uint8),
            final=flat(x, 0),
        )

    return [cell(x, count) for x, count in enumerate(counts)]


def shown(frame: np.ndarray, cells: list[FilmCell]) -> list[int | str]:
    """For each cell the step that it shows, or "final"."""
    picture = Image.fromarray(frame)
    found: list[int | str] = []
    for cell in cells:
        colors = {step_color(cell.x, step): step for step in range(cell.count)}
        colors[color_of(cell.x, cell.y)] = "final"
        (hit,) = [(box, what) for color, what in colors.items() if (box := box_of(picture, color))]
        assert (hit[0][2] - hit[0][0], hit[0][3] - hit[0][1]) == (64, 64)
        found.append(hit[1])
    return found


def test_the_whole_grid_develops_together() -> None:
    sweep, cells = grid_sweep(2, 1), film_cells([2, 4])
    film = list(grid_frames(sweep, cells, SheetOptions()))
    steps = [shown(frame, cells) for frame in film]
    assert steps == [[0, 0], [0, 1], [1, 2], [1, 3], ["final", "final"]]
    assert len({frame.shape for frame in film}) == 1


def test_by_step_a_short_run_finishes_first() -> None:
    sweep, cells = grid_sweep(2, 1), film_cells([2, 4])
    film = list(grid_frames(sweep, cells, SheetOptions(), pace="by step"))
    steps = [shown(frame, cells) for frame in film]
    assert steps == [[0, 0], [1, 1], ["final", 2], ["final", 3], ["final", "final"]]


def test_labels_stand_still_and_failed_cells_say_why() -> None:
    sweep, cells = grid_sweep(3, 1), film_cells([3, 3, 3])
    cells[1] = replace(cells[1], count=0, final=None, reason="Cancelled")
    film = np.stack(list(grid_frames(sweep, cells, SheetOptions())))
    moving = (film != film[-1]).any(axis=(0, 3))
    columns = np.flatnonzero(moving.any(axis=0))
    assert moving.sum() == 2 * 64 * 64  # two cells and nothing else
    assert columns[-1] - columns[0] > 128


def test_a_cell_without_a_stored_picture_ends_on_its_last_frame() -> None:
    sweep = Sweep(base=BASE, x=Axis(name="size", values=("64x64", "32x48")))
    cells = [replace(cell, final=None) for cell in film_cells([2, 2])]
    last = Image.fromarray(list(grid_frames(sweep, cells, SheetOptions()))[-1])
    boxes = [box_of(last, step_color(x, 1)) for x in range(2)]
    assert [(b[2] - b[0], b[3] - b[1]) for b in boxes if b] == [(64, 64), (32, 48)]


def test_a_page_without_recorded_steps_is_no_film() -> None:
    with pytest.raises(FilmError, match="recorded its steps"):
        next(grid_frames(grid_sweep(2, 1), film_cells([2, 2]), SheetOptions(), z=1))
