"""The command line: the same engine and store, clear errors, exit codes a script can use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core.__main__ as command_line
from core.commands import jobs
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.output.texts.infotext import read_png
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker import worker as worker_module
from core.runs.worker.lock import FolderLock
from core.runs.worker.worker import Worker

ROOT = Path(__file__).resolve().parents[3]
QUICK = ["--num-inference-steps", "2", "--scheduler", "Euler"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def held(data: Path) -> Iterator[Worker]:
    """A running app: a worker that holds the folder."""
    running = Worker(Store(data))
    running.start()
    yield running
    assert running.stop()


def generate(data: Path, out: Path, *more: str) -> int:
    basic = ["generate", "--prompt", "a red apple", "--data", str(data), "--out", str(out)]
    return command_line.main([*basic, *more])


def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(worker_module.Worker, "start", refuse)


def test_the_file_is_the_stored_picture_and_knows_its_settings(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "apple.png"
    more = ["--seed", "7", "--guidance-scale", "2.5", "--width", "64", *QUICK]
    assert generate(data, out, *more) == 0
    assert capsys.readouterr().out == f"{out}\n"
    (stored,) = Store(data).search()
    assert out.read_bytes() == Store(data).image_bytes(stored.digest)
    assert read_png(out.read_bytes()).settings == GenerationSettings(
        prompt="a red apple",
        seed=7,
        guidance_scale=2.5,
        width=64,
        num_inference_steps=2,
        scheduler="Euler",
    )
    # The same again is copied from the store, and a strict one says that it was not.
    no_worker(monkeypatch)
    again = tmp_path / "again.png"
    assert generate(data, again, "--strict", *more) == 0
    assert again.read_bytes() == out.read_bytes()
    assert "computed in a batch" in capsys.readouterr().err


def test_every_seed_of_a_batch_draws_its_words(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "wildcards").mkdir(parents=True)
    (data / "wildcards" / "animal.txt").write_text("owl\ncat\nfox\n")
    more = ["--prompt", "an {big|small} __animal__", "--count", "3", "--seed", "4", *QUICK]
    assert generate(data, tmp_path / "a.png", *more) == 0
    said = capsys.readouterr().err.splitlines()
    prompts: list[str] = []
    for seed in (4, 5, 6):
        settings = read_png((tmp_path / f"a-{seed}.png").read_bytes()).settings
        assert settings is not None
        size, animal = settings.prompt.split()[1:]
        assert size in ("big", "small")
        assert animal in ("owl", "cat", "fox")
        assert f"seed {seed} drawn: {size}, {animal}" in said
        prompts.append(settings.prompt)
    assert len(set(prompts)) > 1


def test_a_batch_of_seeds(data: Path, tmp_path: Path) -> None:
    assert generate(data, tmp_path / "a.png", "--count", "3", "--seed", "5", *QUICK) == 0
    made = sorted(tmp_path.glob("a*.png"))
    assert [path.name for path in made] == ["a-5.png", "a-6.png", "a-7.png"]
    assert len({path.read_bytes() for path in made}) == 3
    for path in made:
        settings = read_png(path.read_bytes()).settings
        assert settings is not None
        assert path.stem == f"a-{settings.seed}"


def test_a_drawn_seed_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(data, tmp_path / "a.png", "--seed", "-1", *QUICK) == 0
    settings = read_png((tmp_path / "a.png").read_bytes()).settings
    assert settings is not None
    assert f"seed: {settings.seed}\n" in capsys.readouterr().err


def test_strict_is_computed_strictly(data: Path, tmp_path: Path) -> None:
    assert generate(data, tmp_path / "a.png", "--strict", *QUICK) == 0
    assert Store(data).search()[0].computed["strict"] is True


def test_a_held_folder_is_used_through_its_holder(data: Path, tmp_path: Path, held: Worker) -> None:
    assert generate(data, tmp_path / "a.png", *QUICK) == 0
    assert held.is_running
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_holder_that_ends_is_followed_by_our_own_worker(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HOLDER_CHECK_SECONDS", 0.1)
    lock = FolderLock(Store(data).folder)
    lock.acquire()
    threading.Timer(0.5, lock.release).start()
    assert generate(data, tmp_path / "a.png", *QUICK) == 0


BAD = [
    (["--width", "100"], ["width: 100 is not a multiple of 8"]),
    (["--width", "wide"], ["--width: 'wide' is not a whole number"]),
    (["--guidance-scale", "nan"], ["guidance_scale: nan"]),
    (["--scheduler", "Eular"], ["scheduler: 'Eular'", "'Euler'"]),
    (["--seed", "-2"], ["seed: -2"]),
    (["--seed", str(2**32 - 1), "--count", "2"], ["seed: 4294967296"]),
    (["--count", "0"], ["--count 0"]),
    (["--model", "no/such/model"], ["no/such/model"]),
    (["--sharpness", "3"], ["--sharpness"]),
    (["--width", "100", "--num-inference-steps", "0"], ["width: 100", "num_inference_steps: 0"]),
    (
        ["--prompt", "a __zebra__ {b|c", "--width", "100"],
        ["prompt: cannot be drawn: the choice {b|c", "__zebra__ has no file", "width: 100"],
    ),
]


@pytest.mark.parametrize(("more", "words"), BAD, ids=lambda value: " ".join(value))
def test_bad_input_is_one_line_each_and_exit_code_2(
    more: list[str],
    words: list[str],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_worker(monkeypatch)
    assert generate(data, tmp_path / "a.png", *more) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert all(line.startswith("error: ") for line in said.splitlines()), said
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("name", ["a.jpg", "missing/a.png", "folder.png", "a"])
def test_a_place_that_cannot_be_written_is_found_first(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_worker(monkeypatch)
    (tmp_path / "folder.png").mkdir()
    assert generate(data, tmp_path / name) == 2
    assert not data.exists()


def test_a_data_folder_that_is_a_file_fails_with_a_message(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("in the way")
    assert generate(data, tmp_path / "a.png") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(data) in said


def test_a_prompt_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["generate", "--out", "a.png"]) == 2
    assert "--prompt" in capsys.readouterr().err


def test_a_prompt_that_is_cut_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "owl " * 80 + "zebra"
    assert generate(data, tmp_path / "a.png", "--prompt", long, *QUICK) == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: prompt: ")
    assert "zebra" in said


def test_marks_of_another_tool_are_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(data, tmp_path / "a.png", "--prompt", "a [red:blue:0.5 cat", *QUICK) == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: prompt: has marks that are read as plain words")
    assert "[red:blue:0.5 cat" in said


def test_a_mask_of_which_nothing_is_left_or_that_is_too_thin_is_said_first(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(data)
    mask = np.zeros((64, 64), np.uint8)
    mask[42:45, 5:60] = 255
    source = store.inputs.keep(np.full((64, 64, 3), 90, np.uint8))
    size = ["--width", "64", "--height", "64"]
    words = ["--init-image", source, "--mask-image", store.inputs.keep(mask), *size]
    out = tmp_path / "masked.png"
    assert generate(data, out, *words, "--mask-grow", "-3") == 2
    assert "mask_grow: -3 shrinks the mask until nothing of it is left" in capsys.readouterr().err
    assert not out.exists()
    assert generate(data, out, *words) == 0
    assert "warning: mask_image: covers no place of the latents" in capsys.readouterr().err


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["generate", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, row in SETTINGS.items():
        assert "--" + name.replace("_", "-") in shown
        assert " ".join(row.help.split())[:40] in shown, "its help is its row's"


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_ctrl_c_cancels_the_job(number: signal.Signals, data: Path, tmp_path: Path) -> None:
    arguments = ["generate", "--prompt", "cat", "--num-inference-steps", "900"]
    arguments += ["--data", str(data), "--out", str(tmp_path / "a.png")]
    process = subprocess.Popen(
        [sys.executable, "-m", "core", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    queue = Queue(Store(data))
    deadline = time.monotonic() + 120
    while not any(job.steps_done for job in queue.jobs()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "cancelled" in said
    assert "Traceback" not in said
    assert [job.state for job in queue.jobs()] == ["cancelled"]
    assert not (tmp_path / "a.png").exists()
