"""Source pictures of a spec by their files: read, cropped, kept, named; and what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.commands.specs import read_spec
from core.diffusion.recipe.images import input_digest, prepare
from core.diffusion.recipe.rows.source import SAMPLE_SOURCES
from core.diffusion.recipe.source_names import shown_source
from core.diffusion.settings import GenerationSettings
from core.runs.store.store import Store
from core.sweeps.axis import Axis, SweepError
from core.sweeps.sources import with_source_files
from core.sweeps.sweep import Sweep

SAMPLES = Path(__file__).resolve().parents[3] / "ui" / "assets" / "samples"
BASE = GenerationSettings(prompt="an owl", width=32, height=64)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (60, 40), "red").save(folder / "b.png")
    Image.new("RGB", (40, 60), "blue").save(folder / "a.JPG", "JPEG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def kept(array: np.ndarray, name: str) -> str:
    return input_digest(array)


def test_a_folder_is_its_pictures_in_order_at_the_size_of_the_run(pictures: Path) -> None:
    sweep = Sweep(base=BASE, x=Axis(name="init_image", values=("pictures", "5e" * 32)))
    found = with_source_files(sweep, pictures.parent, kept)
    assert found.x is not None
    expected = [
        input_digest(prepare(Image.open(pictures / name), 32, 64, "crop"))
        for name in ("a.JPG", "b.png")
    ]
    assert list(found.x.values) == [*expected, "5e" * 32]
    base = Sweep(base=GenerationSettings(init_image=str(pictures / "b.png"), width=32, height=64))
    assert with_source_files(base, Path("/"), kept).base.init_image == expected[1]


def test_every_file_that_cannot_be_used_is_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "c.webp").write_bytes(b"RIFF")
    (tmp_path / "empty").mkdir()
    axis = Axis(name="init_image", values=("pictures", "none.png", "empty", "\x00"))
    base = GenerationSettings(init_image="pictures")
    with pytest.raises(SweepError) as error:
        with_source_files(Sweep(base=base, y=axis), tmp_path, kept)
    lines = str(error.value).splitlines()
    assert all(line.startswith("Source picture: ") for line in lines)
    assert sum("c.webp: The file is not a PNG" in line for line in lines) == 2
    assert any("none.png is neither a picture nor a folder" in line for line in lines)
    assert any("empty has no PNG, JPEG or WebP picture" in line for line in lines)
    assert any("is a folder: name one of its pictures" in line for line in lines)
    assert len(lines) == 6


def test_the_first_values_are_the_samples() -> None:
    names = ("apple.png", "face.png")
    found = [
        input_digest(prepare(Image.open(SAMPLES / n).convert("RGB"), 128, 128, "crop"))
        for n in names
    ]
    assert ", ".join(found) == SAMPLE_SOURCES


def test_a_spec_with_files_is_computed(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, data = tmp_path / "spec.toml", tmp_path / "data"
    spec.write_text(
        '[base]\nprompt = "an owl"\nwidth = 32\nheight = 32\nnum_inference_steps = 2\n'
        '[x]\naxis = "init_image"\nvalues = ["pictures"]\n'
        '[y]\naxis = "strength"\nvalues = "0.5, 1"\n'
    )
    target = tmp_path / "grid.csv"
    assert main(["sweep", str(spec), "--data", str(data), "--export", str(target)]) == 0
    store, sweep = Store(data), read_spec(spec)
    assert sweep.x is not None
    assert [shown_source(digest) for digest in sweep.x.values] == ["a.JPG", "b.png"]
    made = {(one.settings.init_image, one.settings.strength) for one in store.search(limit=9)}
    assert made == {(digest, strength) for digest in sweep.x.values for strength in (0.5, 1.0)}
    assert main(["sweep", str(spec), "--data", str(data), "--plan"]) == 0
    assert "4 stored, 0 to compute" in capsys.readouterr().err
