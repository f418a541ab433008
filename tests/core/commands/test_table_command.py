"""python -m core sweep --table: a CSV file of settings, computed row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.__main__ import main
from core.output.sheet.sheet import read_sweep
from core.runs.store.store import Store

SMALL = "width,height,steps,Seed,prompt\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def table(tmp_path: Path, text: str) -> str:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_each_row_is_computed_and_the_grid_exported(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = '32,32,1,4,"a red apple, on blue"\n32,32,2,5,an owl\n32,32,1,4,\n'
    file, out = table(tmp_path, SMALL + rows), tmp_path / "grid.png"
    given = ["sweep", "--table", file, "--data", str(data), "--save", "mine"]
    assert main([*given, "--export", str(out)]) == 0
    told = capsys.readouterr()
    assert "1 empty cell keeps the value of the base settings" in told.err
    assert "3 x 1 cells: 0 stored, 3 to compute" in told.err
    sweep = read_sweep(out.read_bytes())
    made = [cell.settings for cell in sweep.cells()]
    assert [(one.num_inference_steps, one.seed, one.prompt) for one in made] == [
        (1, 4, "a red apple, on blue"),
        (2, 5, "an owl"),
        (1, 4, ""),
    ]
    store = Store(data)
    assert store.count() == 3
    assert [one.sweep for one in store.sweeps()] == [sweep]

    more = table(tmp_path, "guidance scale\n3\n1\n")
    spec = tmp_path / "base.toml"
    spec.write_text('[base]\nprompt = "an owl"\nseed = 7\n[y]\naxis = "seed"\nvalues = "1-2"\n')
    assert main(["sweep", str(spec), "--table", more, "--data", str(data), "--plan"]) == 0
    assert "2 x 2 cells" in capsys.readouterr().err
    assert main(["sweep", "mine", "--table", more, "--data", str(data)]) == 2
    assert "are both the columns of the sweep" in capsys.readouterr().err


def test_everything_wrong_with_a_table_is_a_line_each(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(tmp_path, "Steps,Seeed\nx,1\n5000,2\n")
    assert main(["sweep", "--table", file, "--data", str(data)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {file}: row 1, Seeed: is not a setting; did you mean Seed?",
        f"error: {file}: row 2, Steps: 'x' is not a whole number",
        f"error: {file}: row 3, Steps: 5000 is outside 1 to 1000",
    ]
    for words in (["--table", str(tmp_path)], ["--table", "none.csv"], ["--table", "a\0b"], []):
        assert main(["sweep", *words, "--data", str(data)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4
    assert all("cannot be read" in line for line in errors[:3])
    assert "give a spec file, a saved sweep or --table" in errors[3]
    assert not Store(data).count()


def test_rows_are_judged_with_the_base_settings_of_the_spec(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(tmp_path, "eta\n0.5\n")
    spec = tmp_path / "base.toml"
    spec.write_text('[base]\nprompt = "a"\nscheduler = "DDIM"\n')
    assert main(["sweep", str(spec), "--table", file, "--data", str(data), "--plan"]) == 0
    spec.write_text('[base]\nprompt = "a"\nscheduler = "DPM++ 2M"\n')
    assert main(["sweep", str(spec), "--table", file, "--data", str(data), "--plan"]) == 2
    assert "row 2, Eta: is not available with DPM++ 2M" in capsys.readouterr().err


def test_the_example_is_sound(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).resolve().parents[3] / "examples" / "table.csv"
    assert main(["sweep", "--table", str(file), "--data", str(data), "--plan"]) == 0
    assert "4 x 1 cells: 0 stored, 4 to compute" in capsys.readouterr().err
