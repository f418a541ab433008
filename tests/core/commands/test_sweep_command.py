"""python -m core sweep and export: the same sweeps without a browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.__main__ import main
from core.commands.console import ProgressLine
from core.commands.specs import read_spec
from core.diffusion.settings import GenerationSettings
from core.exports.formats import BY_SUFFIX
from core.output.sheet.sheet import read_sweep
from core.output.texts.infotext import read_png
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.conftest import max_difference

ROOT = Path(__file__).resolve().parents[3]
SPEC = """
[base]
prompt = "a red apple"
width = 32
height = 32
num_inference_steps = 2
seed = 5

[x]
axis = "seed"
values = "1-2"

[y]
axis = "guidance_scale"
values = "1, 3"
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def sweep(spec: Path | str, data: Path, *more: str) -> int:
    return main(["sweep", str(spec), "--data", str(data), *more])


def test_a_spec_is_computed_and_exported_in_every_format(
    spec: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = [tmp_path / f"grid{suffix}" for suffix in BY_SUFFIX]
    options = [part for target in targets for part in ("--export", str(target))]
    assert sweep(spec, data, "--save", "apples", *options) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [str(target) for target in targets]
    assert "2 x 2 cells: 0 stored, 4 to compute (12 UNet rows)" in captured.err
    made = {target.suffix: target.read_bytes() for target in targets}
    wanted = read_spec(spec)
    for suffix in (".png", ".jpg", ".webp", ".pdf"):
        assert read_sweep(made[suffix]) == wanted
    rows = list(csv.DictReader(io.StringIO(made[".csv"].decode("utf-8-sig"))))
    assert [(row["seed"], float(row["guidance_scale"])) for row in rows] == [
        ("1", 1.0),
        ("2", 1.0),
        ("1", 3.0),
        ("2", 3.0),
    ]
    assert float(rows[0]["final_latent_rms"]) > 0
    assert float(rows[0]["rmse"]) == 0 < float(rows[3]["rmse"])
    with zipfile.ZipFile(io.BytesIO(made[".zip"])) as archive:
        pictures = [name for name in archive.namelist() if name.endswith(".png")]
        cells = {cell.settings for cell in wanted.cells()}
        assert {read_png(archive.read(name)).settings for name in pictures} == cells
    assert b"data:image/png" in made[".html"]
    assert made[".mp4"][4:8] == b"ftyp"
    with Image.open(io.BytesIO(made[".gif"])) as film:
        assert film.n_frames == 3  # two calls and the finished grid

    # All of it again costs nothing, and the saved name is the same sweep.
    assert main(["export", "apples", "--data", str(data), "--out", str(targets[0])]) == 0
    assert targets[0].read_bytes() == made[".png"]
    assert sweep("apples", data, "--plan") == 0
    assert "4 stored, 0 to compute (0 UNet rows)" in capsys.readouterr().err


def test_the_plan_says_time_size_and_what_is_cut_off(
    spec: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(spec, data, "--plan") == 0
    said = capsys.readouterr().err
    assert "the time is not known before a first run; a picture of " in said
    assert sweep(spec, data) == 0
    capsys.readouterr()
    long = "owl " * 80
    text = SPEC.replace("guidance_scale", "prompt").replace('"1, 3"', f'"cat, {long} and a zebra"')
    spec.write_text(text.replace("[base]", f'[base]\nnegative_prompt = "{long} and fog"'))
    assert sweep(spec, data, "--plan") == 0
    first, *warnings = capsys.readouterr().err.splitlines()
    assert re.search(r"UNet rows\), about \d+ s; a picture of \d+ x \d+ pixels$", first)
    assert [line.split(": ")[1] for line in warnings] == ["negative_prompt", "prompt"]
    assert warnings[0].endswith("never sees: owl owl owl owl owl and fog")
    assert warnings[1].endswith("and a zebra")


def test_the_plan_names_marks_of_another_tool(
    spec: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SPEC.replace("guidance_scale", "prompt").replace('"1, 3"', '"cat, a [red:blue:0.5 owl"')
    spec.write_text(text)
    assert sweep(spec, data, "--plan") == 0
    (warning,) = capsys.readouterr().err.splitlines()[1:]
    assert "prompt: a [red:blue:0.5 owl: has marks" in warning


def test_a_spec_has_one_value_a_line_and_draws_its_base(
    spec: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "wildcards").mkdir(parents=True)
    (data / "wildcards" / "word.txt").write_text("apple\n# none\nowl\n")
    text = SPEC.replace('"a red apple"', '"a {red|blue} apple"')
    text = text.replace('"guidance_scale"', '"prompt_search_replace"')
    spec.write_text(text.replace('"1, 3"', '["apple", "__word__", "{a|b} cat"]'))
    assert sweep(spec, data, "--plan", "--save", "words") == 0
    said = capsys.readouterr().err
    assert "2 x 4 cells" in said
    assert "drawn: " in said
    (saved,) = Store(data).sweeps()
    assert saved.sweep.y is not None
    assert saved.sweep.y.values == ("apple", "owl", "a cat", "b cat")
    assert saved.sweep.base.prompt == "a {red|blue} apple"
    (data / "wildcards" / "word.txt").unlink()
    assert sweep("words", data, "--plan") == 0, "what was expanded is kept"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(Store(data))
    job = queue.job(queue.submit([GenerationSettings()] * 3, owner="me", token="1"))
    assert job is not None
    running = replace(job, steps_done=7, done_cells=1, seconds_left=12.4)
    said: dict[bool, str] = {}
    for is_terminal in (True, False):
        monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else io.StringIO())
        line = ProgressLine()
        line.show(job, queue)
        line.show(running, queue)
        line.end()
        line.end()
        said[is_terminal] = sys.stderr.getvalue()
    assert said[False] == ""
    assert "No worker is running" in said[True]
    assert "1 of 3 images, UNet call 7 of 60, 12 s left" in said[True]
    assert "\n" not in said[True]
    assert not said[True].split("\r")[-2].strip(), "cleared at the end"


def test_files_that_need_other_names_or_lack_the_sweep_say_so(
    spec: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.exports.sweep.INLINE_LIMIT", 0)
    monkeypatch.setattr("core.output.sheet.sheet_text._MAX_EXIF", 100)
    names = ("grid.html", "grid.zip", "grid.jpg", "grid.png")
    options = [part for name in names for part in ("--export", str(tmp_path / name))]
    assert sweep(spec, data, *options) == 0
    captured = capsys.readouterr()
    written = ("grid-page.zip", *names[1:])
    assert captured.out.split() == [str(tmp_path / name) for name in written]
    with zipfile.ZipFile(tmp_path / "grid-page.zip") as archive:
        assert any(name.endswith(".html") for name in archive.namelist())
    with zipfile.ZipFile(tmp_path / "grid.zip") as archive:
        assert any(name.endswith(".csv") for name in archive.namelist())
    assert "grid.html would be too large" in captured.err
    assert "grid-page.zip" in captured.err
    assert "grid.jpg does not hold the sweep" in captured.err
    assert "grid.png does not" not in captured.err


def test_what_the_spec_leaves_out_is_the_models_own_default(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[base]\nprompt = "x"\nseed = -1\n[x]\naxis = "seed"\nvalues = [1, 2]\n')
    card = json.loads((ROOT / "models" / "bundled" / "lightbox.json").read_text())
    base = read_spec(path).base
    assert base.guidance_scale == card["default_guidance_scale"]
    assert base.scheduler == card["default_scheduler"]
    assert base.seed >= 0


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "examples").glob("*.toml")))
def test_the_examples_are_sound(name: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(ROOT / "examples" / name, data, "--plan") == 0
    assert "0 stored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[base", "is not a TOML file"),
        ("base = 3", "base must be a table of settings"),
        ('[base]\nprompt = "a"\n[q]\n', "q: no part of a sweep"),
        ('[base]\npromt = "a"\n', "did you mean prompt?"),
        ('[base]\n[x]\naxis = "seed"\nvalues = "1-a"\n', "value 1 ('1-a')"),
        ('[base]\n[x]\naxis = "seed"\nvalues = "1-9"\n[y]\naxis="seed"\nvalues="1"', "2 times"),
        ('[base]\n[x]\naxis = "guidance_scale"\nvalues = "500"\n', "500 is outside 0 to 100"),
        ('[base]\nmodel = "/no/where"\n', "is not on this machine"),
        (
            '[base]\nprompt = "a"\n[x]\naxis = "prompt_search_replace"\nvalues = "b, c"\n',
            "is not in the prompt",
        ),
    ],
)
def test_a_bad_spec_is_one_clear_message_and_no_model_call(
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert sweep(path, data) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert all(line.startswith("error: ") for line in captured.err.splitlines())
    assert captured.out == ""
    assert Store(data).count() == 0


def test_names_that_lead_nowhere(
    spec: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("nothing", data) == 2
    assert sweep(tmp_path / "missing.toml", data) == 2
    assert sweep(spec, data, "--export", "grid.bmp") == 2
    assert sweep(spec, data, "--export", str(tmp_path / "no" / "grid.png")) == 2
    out = str(tmp_path / "grid.png")
    assert main(["export", str(spec), "--data", str(data), "--out", out]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 5
    assert "none of its cells is stored" in errors[-1]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("number", "is_strict"),
    [(signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGINT, False)],
    ids=["killed, strict", "killed", "Ctrl+C"],
)
def test_interrupted_in_the_middle_it_goes_on_where_it_was(
    spec: Path, data: Path, number: signal.Signals, is_strict: bool
) -> None:
    """What was finished stays to the byte and is not computed again. Together it is the sweep that
    nothing interrupted: to the byte where it is strict, else within 2/255.
    """
    # The short rows are stored while the long ones still run beside them.
    steps = 'axis = "num_inference_steps"\nvalues = "2, 60"'
    text = SPEC.replace('axis = "guidance_scale"\nvalues = "1, 3"', steps)
    spec.write_text(text.replace('"1-2"', '"1-4"'))
    more = ["--strict"] if is_strict else []
    command = [sys.executable, "-m", "core", "sweep", str(spec), "--data", str(data), *more]
    first = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    store = Store(data)
    deadline = time.monotonic() + 120
    while store.count() < 2:
        assert time.monotonic() < deadline
        assert first.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.005)
    first.send_signal(number)
    _, said = first.communicate(timeout=60)
    if number == signal.SIGINT:
        assert first.returncode == 130, said
        assert "cancelled" in said
        assert [job.state for job in Queue(store).jobs()] == ["cancelled"]
    assert "Traceback" not in said
    kept = [(image, store.image_bytes(image.digest)) for image in store.search()]
    assert 2 <= len(kept) < 8

    again = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{len(kept)} stored, {8 - len(kept)} to compute" in again.stderr
    assert store.count() == 8
    for image, before in kept:
        assert store.get(image.digest) == image
        assert store.image_bytes(image.digest) == before
    whole = Store(data.with_name("whole"))
    assert sweep(spec, whole.folder, *more) == 0
    for image in whole.search():
        found, expected = store.image_bytes(image.digest), whole.image_bytes(image.digest)
        if is_strict:
            assert found == expected
        assert max_difference(_opened(found), _opened(expected)) <= 2


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
