"""Films of stored runs, decoded again: every frame, its size, the first and the last one."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from core.diffusion.models.load import LoadedModel
from core.diffusion.sampling.frames import decode_frames, vp_latents
from core.exports.films.decoded_frames import Kind
from core.exports.films.film import Film
from core.exports.films.film_settings import FilmedRun, FilmSettings
from core.exports.films.kept import KEPT_FILMS, FileFormat
from core.output.film.film import FilmError
from core.output.sheet import lettering
from core.runs.store.store import Store
from core.runs.worker.tasks.work import InPool, OnModel, TaskError, Work
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.conftest import max_difference
from tests.core.exports.films.doubles import SIDE, FilmModel, pixels, put_run, settings
from tests.core.runs.doubles import info

ROOT = Path(__file__).resolve().parents[4]
PLAIN = FilmSettings(kinds=("x0",), caption=False, fps=10, hold=0.3)
FORMATS: list[FileFormat] = ["mp4", "gif", "webp", "zip"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def film_of(
    store: Store, run: FilmedRun | None = None, shown: FilmSettings = PLAIN, **sweep: Any
) -> Film:
    runs = sweep.pop("runs", None) or (run or put_run(store),)
    return Film(store=store, settings=shown, runs=tuple(runs), **sweep)


def carry_out(work: Work, model: Any) -> tuple[Any, list[tuple[int, int]]]:
    """What a task returns, and all that it said on its way. It gets `model` when it asks."""
    said: list[tuple[int, int]] = []
    answer: Any = None
    while True:
        try:
            one = work.send(answer)
        except StopIteration as end:
            return end.value, said
        answer = model if isinstance(one, OnModel) else None
        if isinstance(one, tuple):
            said.append(one)


def write(film: Film, format: FileFormat = "mp4", model: FilmModel | None = None) -> Path:
    name, said = carry_out(film.work(format), model or FilmModel())
    assert said[-1][0] == said[-1][1]
    path = film.find(format)
    assert path is not None
    assert path.name == name
    return path


def ffmpeg_frames(path: Path) -> np.ndarray:
    """(N, H, W, 3): every frame that ffmpeg finds, none left out and none doubled."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    about = subprocess.run([program, "-i", path], capture_output=True, text=True).stderr
    found = re.search(r"Video: .*?, (\d+)x(\d+)", about)
    assert found, about
    width, height = int(found[1]), int(found[2])
    command = [program, "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-fps_mode", "passthrough", "-"], capture_output=True)
    assert raw.returncode == 0, raw.stderr
    return np.frombuffer(raw.stdout, np.uint8).reshape(-1, height, width, 3)


def frames_in(path: Path) -> np.ndarray:
    """Every frame of a file."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            names = sorted(archive.namelist())
            assert names[0] == "frame-0001.png"
            return np.stack([np.array(Image.open(io.BytesIO(archive.read(n)))) for n in names])
    return ffmpeg_frames(path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_film_ends_on_the_stored_picture(store: Store, format: FileFormat) -> None:
    run = put_run(store, calls=5)
    found = frames_in(write(film_of(store, run), format))
    # An animated WebP and a ZIP show a held frame once, and longer.
    expected = {"mp4": 9, "gif": 9}.get(format, 6)
    assert found.shape == (expected, SIDE, SIDE, 3)
    assert run.image is not None
    stored = Image.open(io.BytesIO(store.image_bytes(run.image.digest)))
    trajectory = store.trajectory(run.image.digest)
    assert trajectory is not None
    assert trajectory.pred_original_sample is not None
    tolerance = 0 if format == "zip" else 6
    first = Image.fromarray(pixels(trajectory.pred_original_sample[0]))
    assert max_difference(Image.fromarray(found[0]), first) <= tolerance
    assert max_difference(Image.fromarray(found[-1]), stored) <= tolerance
    assert max_difference(first, stored) > 20, "the two ends must differ for this to say anything"


def test_there_and_back_ends_beside_its_beginning(store: Store) -> None:
    film = film_of(store, shown=replace(PLAIN, there_and_back=True))
    assert film.played == [0, 1, 2, 3, 4, 5, 5, 5, 5, 4, 3, 2, 1]
    found = frames_in(write(film))
    assert len(found) == 13
    assert np.abs(found[1].astype(int) - found[-1].astype(int)).max() <= 6
    assert len(frames_in(write(film, "zip"))) == 6, "each frame once"


@pytest.mark.parametrize("scheduler", ["DDIM", "Euler"])
def test_both_panels_show_what_they_say(store: Store, scheduler: str) -> None:
    """x_t is variance preserving: a sigma-space scheduler's latents are divided."""
    run = put_run(store, settings(scheduler=scheduler))
    assert run.image is not None
    film = film_of(store, run, replace(PLAIN, kinds=("latents", "x0")))
    write(film)
    trajectory = store.trajectory(run.image.digest)
    assert trajectory is not None
    assert trajectory.latents is not None
    assert trajectory.pred_original_sample is not None
    for index in (0, 3):
        sigma = run.records[index].sigma if scheduler == "Euler" else 0.0
        left = pixels(trajectory.latents[index] / np.float32((1 + sigma**2) ** 0.5))
        frame = film.frames.frame(index)
        assert np.abs(frame[:, :SIDE].astype(int) - left.astype(int)).max() <= 1
        right = pixels(trajectory.pred_original_sample[index])
        assert np.array_equal(frame[:, -SIDE:], right)
    last = film.frames.frame(film.count - 1)
    assert np.array_equal(last[:, :SIDE], last[:, -SIDE:])


def test_a_size_keeps_every_pixel_a_square(store: Store) -> None:
    run = put_run(store)
    one, three = (film_of(store, run, replace(PLAIN, scale=scale)) for scale in (1, 3))
    write(one)
    enlarged = one.frames.frame(2).repeat(3, 0).repeat(3, 1)
    assert np.array_equal(three.frames.frame(2), enlarged)


def test_the_preview_is_small_and_ends_on_the_stored_picture(store: Store) -> None:
    run = put_run(store)
    model = FilmModel()
    film = film_of(store, run, replace(PLAIN, decoder="preview"))
    write(film, model=model)
    assert model.decoded == 0
    assert run.image is not None
    stored = np.asarray(Image.open(run.image.path))
    assert np.array_equal(film.frames.frame(film.count - 1), stored)


def test_captions_stand_below_and_move_nothing(store: Store) -> None:
    run = put_run(store)
    bare, captioned = film_of(store, run), film_of(store, run, replace(PLAIN, caption=True))
    write(captioned)
    words = ["Step 3 of 5", "timestep 997", "σ 3.33", "guidance gap 0.167"]
    assert captioned.captions()[2] == words
    assert captioned.captions()[-1][0] == "Finished"
    for index in range(bare.count):
        frame = captioned.frames.frame(index)
        assert np.array_equal(frame[:SIDE], bare.frames.frame(index))
        assert frame[SIDE:].max() > 200, "no lettering"
    assert len({captioned.frames.frame(index).shape for index in range(bare.count)}) == 1


def test_a_run_that_calls_more_often_than_it_steps_says_call(store: Store) -> None:
    film = film_of(store, put_run(store, settings(scheduler="Heun"), calls=3))
    assert film.captions()[0][0] == "Call 1 of 3"


def test_nothing_is_decoded_or_encoded_twice(store: Store) -> None:
    run, model = put_run(store), FilmModel()
    path = write(film_of(store, run), model=model)
    assert model.decoded == 5
    assert film_of(store, run).find("mp4") == path
    slower = film_of(store, run, replace(PLAIN, fps=5))
    assert slower.find("mp4") is None
    assert slower.not_decoded() == {}
    both = film_of(store, run, replace(PLAIN, kinds=("latents", "x0")))
    write(both, model=model)
    assert model.decoded == 10, "only the latents were missing"


@pytest.mark.parametrize(
    "change",
    [
        {"caption": True},
        {"fps": 9},
        {"hold": 2.0},
        {"there_and_back": True},
        {"scale": 2},
        {"background": "white"},
        {"decoder": "preview"},
        {"kinds": ("latents",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_cut_is_another_file(store: Store, change: dict[str, Any]) -> None:
    run = put_run(store)
    assert film_of(store, run, replace(PLAIN, **change)).name("mp4") != film_of(store, run).name(
        "mp4"
    )


def test_a_stopped_film_leaves_nothing_half_made(store: Store) -> None:
    film = film_of(store, put_run(store, calls=30))
    work = film.work("mp4")
    assert isinstance(next(work), OnModel)
    assert work.send(FilmModel())[1] == 30
    work.close()
    assert film.not_decoded()
    encoding = film.work("mp4")
    next(encoding)
    piece = encoding.send(FilmModel())
    while not isinstance(piece, InPool):
        piece = next(encoding)
    next(encoding)
    encoding.close()
    assert film.find("mp4") is None
    assert not list(store.folder.rglob("*.part"))


def test_the_newest_films_are_kept(store: Store) -> None:
    run = put_run(store, calls=2)
    paths: list[Path] = []
    for count in range(KEPT_FILMS + 2):
        film = film_of(store, run, replace(PLAIN, hold=count / 10))
        paths.append(write(film))
        os.utime(paths[-1], (time.time() + count,) * 2)
    assert [path.exists() for path in paths] == [False] * 2 + [True] * KEPT_FILMS


def test_damaged_frames_are_decoded_again(store: Store) -> None:
    film = film_of(store)
    write(film)
    (file,) = (store.folder / "films" / "reels").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FilmError, match="no longer kept"):
        _ = film_of(store, film.runs[0]).frames
    assert film.not_decoded()
    write(film_of(store, film.runs[0]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda store, image: store.delete([image.digest]), "not recorded any more"),
        (
            lambda store, image: store.files.trajectory(image.digest).write_bytes(b"cut short"),
            "damaged",
        ),
        (lambda store, image: store.files.trajectory(image.digest).unlink(), "missing"),
    ],
    ids=["deleted", "damaged", "lost"],
)
def test_what_cannot_be_decoded_is_said(store: Store, spoil: Any, said: str) -> None:
    run = put_run(store)
    film = film_of(store, run)
    spoil(store, run.image)
    with pytest.raises(TaskError, match=said):
        carry_out(film.work("mp4"), FilmModel())


def test_a_damaged_picture_is_said(store: Store) -> None:
    run = put_run(store)
    carry_out(film_of(store, run).work("mp4"), FilmModel())
    assert run.image is not None
    run.image.path.write_bytes(run.image.path.read_bytes()[:200])
    with pytest.raises(TaskError, match="damaged"):
        carry_out(film_of(store, run).work("mp4"), FilmModel())


def test_frames_of_another_model_are_refused(store: Store) -> None:
    film = film_of(store)
    changed = FilmModel(info=replace(info(), fingerprint="another"))
    with pytest.raises(TaskError, match="has changed"):
        carry_out(film.work("mp4"), changed)


@pytest.mark.parametrize(
    "change", [{"fps": 0}, {"fps": 31}, {"hold": -1}, {"scale": 9}, {"kinds": ()}]
)
def test_a_cut_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FilmError):
        replace(PLAIN, **change)


def test_a_film_without_any_recorded_run_is_refused(store: Store) -> None:
    run = replace(put_run(store), records=())
    with pytest.raises(FilmError, match="No run"):
        _ = film_of(store, run).frames


STEPS = Sweep(base=settings(), x=Axis(name="num_inference_steps", values=(2, 4)))


def step_runs(store: Store) -> list[FilmedRun]:
    """Two runs of 2 and 4 steps, side by side."""
    return [
        replace(put_run(store, cell.settings, calls=cell.settings.num_inference_steps), x=cell.x)
        for cell in STEPS.cells()
    ]


@pytest.mark.parametrize(
    ("pace", "calls"),
    [
        ("together", [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]),
        ("by step", [(0, 0), (1, 1), (2, 2), (2, 3), (2, 4)]),
    ],
)
def test_cells_of_different_steps_in_one_film(
    store: Store, pace: Any, calls: list[tuple[int, int]]
) -> None:
    runs = step_runs(store)
    shown = replace(PLAIN, pace=pace, caption=True)
    film = film_of(store, shown=shown, runs=runs, sweep=STEPS)
    assert film.count == 5
    found = [tuple(film.call(run, index) for run in runs) for index in range(film.count)]
    assert found == calls
    decoded = frames_in(write(film))
    assert len(decoded) == 5 + 3
    first = film.captions()[0]
    assert first[0] == "Frame 1 of 5", "their steps differ"
    assert film.captions()[-1][0] == "Finished"


def test_a_cell_without_its_steps_stands_still(store: Store) -> None:
    moving, still = step_runs(store)
    runs = [moving, replace(still, records=())]
    film = film_of(store, runs=runs, sweep=STEPS)
    model = FilmModel()
    write(film, model=model)
    assert model.decoded == 2
    frames = [film.frames.frame(index) for index in range(film.count)]
    changed = np.argwhere((frames[0] != frames[-1]).any(axis=2))
    assert np.ptp(changed[:, 1]) < SIDE, "only one cell may move"


def test_side_by_side_in_every_cell(store: Store) -> None:
    kinds: tuple[Kind, ...] = ("latents", "x0")
    runs = step_runs(store)
    film = film_of(store, shown=replace(PLAIN, kinds=kinds), runs=runs, sweep=STEPS)
    write(film)
    moved = (film.frames.frame(0) != film.frames.frame(film.count - 1)).any(axis=2)
    assert moved.any(axis=0).sum() == 4 * SIDE
    assert moved.any(axis=1).sum() == SIDE


def test_a_long_film_of_a_grid_needs_little_memory(tmp_path: Path) -> None:
    """200 frames of 4 x 4 cells: frames that piled up would be 220 MB, files 40 MB."""
    program = ROOT / "tests" / "core" / "exports" / "films" / "long_film.py"
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["frames"] == 200
    assert found["peak_mb"] + found["encoder_mb"] < 1500, found
    assert found["growth_mb"] < 60, found


def test_frames_decode_as_the_finished_picture_does(model: LoadedModel, store: Store) -> None:
    """The bundled model: the last latents decode to the stored picture, to a rounding."""
    from core.diffusion.engine import Engine

    for scheduler in ("DPM++ 2M", "Euler", "DPM2"):
        one = settings(num_inference_steps=3, guidance_scale=4.0, scheduler=scheduler)
        made = Engine(model).generate([one], record="latents")[0]
        trajectory = made.trajectory
        assert trajectory is not None
        assert trajectory.latents is not None
        seen = vp_latents(trajectory, scheduler)
        rms = np.sqrt((seen.astype(np.float64) ** 2).mean((1, 2, 3)))
        assert rms == pytest.approx([r.latent_rms for r in trajectory.records], rel=1e-5)
        frames: dict[int, np.ndarray] = {}
        said = list(decode_frames(model, trajectory.latents, frames.__setitem__))
        assert said[-1] == (len(trajectory.latents), len(trajectory.latents))
        assert sorted(frames) == list(range(len(trajectory.latents)))
        last = Image.fromarray(frames[len(frames) - 1])
        assert max_difference(last, made.image) <= 1


def test_a_film_says_which_letters_of_its_labels_no_font_has(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lettering, "_system_font_for", lambda letter: None)
    for prompts, is_named in ((("an owl", "\u732b"), True), (("an owl", "a cat"), False)):
        sweep = Sweep(base=settings(), x=Axis(name="prompt", values=prompts))
        runs = [
            replace(put_run(store, replace(settings(), prompt=prompt)), x=x)
            for x, prompt in enumerate(prompts)
        ]
        film = film_of(store, runs=runs, sweep=sweep)
        write(film)
        assert ("\u732b" in film.note) == is_named
        assert ("No font on this computer" in film.note) == is_named
