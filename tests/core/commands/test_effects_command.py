"""effects on the command line: words, JSON and files of a stored sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.runs.store.store import Store
from tests.core.runs.doubles import generation

SPEC = """\
[base]
prompt = "a red apple"
seed = 1
[x]
axis = "guidance_scale"
values = "3, 7"
[y]
axis = "seed"
values = "1-3"
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def store_all(spec: Path, folder: Path, *, but: tuple[int, ...] = ()) -> None:
    from core.commands.specs import find_sweep, plan_of
    from core.diffusion.models.load import describe

    store = Store(folder)
    plan = plan_of(find_sweep(str(spec), store), store)
    for index, cell in enumerate(plan.cells):
        if index not in but:
            score = 20.0 + 2 * cell.x + cell.y + 0.1 * cell.x * cell.y
            store.put(generation(cell.settings), describe("bundled"), clip_score=score)


def test_it_says_what_the_axes_do(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    store_all(spec, data, but=(5,))
    asked = ["effects", str(spec), "--data", str(data), "--measure", "CLIP score"]
    assert main(asked) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Guidance scale 3 → 7 raises the CLIP score by 2.1 (95 % CI ")
    assert "2 of 2 seeds).\nOf all differences in the CLIP score" in out
    assert "1 cell is missing (Guidance scale 7, Seed 3): Not computed." in err
    assert "LPIPS is left out" in err


def test_json_is_a_list_of_differences(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    store_all(spec, data)
    target = tmp_path / "effects.csv"
    asked = ["effects", str(spec), "--data", str(data), "--json", "--out", str(target)]
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)
    (score,) = [row for row in found["effects"] if row["measure"] == "clip_score"]
    assert (score["from"], score["to"], score["agree"], score["seeds"]) == ("3", "7", 3, 3)
    assert score["difference"] == pytest.approx(2.1)
    assert score["low"] < 2.1 < score["high"]
    assert "clip_score" in target.read_text("utf-8-sig")
    assert {"jpeg_size", "rmse", "clip_cosine"} <= {row["measure"] for row in found["effects"]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--measure", "beauty"], "beauty: not measured here"),
        (["--out", "a.xyz"], "a.xyz: name it as one of .csv"),
        (["--against", "nothing"], "invalid choice"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    more: list[str],
    words: str,
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_all(spec, tmp_path / "data")
    assert main(["effects", str(spec), "--data", str(tmp_path / "data"), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_sweep_that_has_not_run_says_so(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["effects", str(spec), "--data", str(tmp_path / "data")]) == 2
    assert "none of its cells is stored" in capsys.readouterr().err


def test_a_sweep_of_seeds_alone_has_no_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "seeds.toml"
    spec.write_text('[base]\nprompt = "a"\n[x]\naxis = "seed"\nvalues = "1, 2"\n')
    store_all(spec, tmp_path / "data")
    assert main(["effects", str(spec), "--data", str(tmp_path / "data")]) == 2
    assert "nothing varies but the seed" in capsys.readouterr().err


def test_refine_says_what_it_would_add_and_the_sweep_command_runs_it(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    store_all(spec, data)
    asked = ["effects", str(spec), "--data", str(data), "--measure", "clip_score"]
    assert main([*asked, "--refine", "7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["refine"]
    by_name = {one["add"]: one for one in found}
    seeds = by_name["seeds"]
    assert seeds["values"] == ["4", "5", "6"]
    assert (seeds["cells"], seeds["to_compute"], seeds["problem"]) == (6, 6, "")
    assert seeds["unet_rows"] > 0
    assert "The widest interval is that of Guidance scale 3 → 7" in seeds["why"][0]
    values = by_name["guidance_scale"]
    # The pictures of this store depend on the seed alone.
    assert (values["values"], values["sweep"]) == ([], None)
    assert values["problem"] == "Guidance scale: its pictures are all the same."
    assert main([*asked, "--refine", "7", "--add", "seeds", "--save", "more"]) == 0
    out, err = capsys.readouterr()
    assert "refine: Seeds: 4, 5, 6 (6 cells more, 6 to compute" in out
    assert 'saved: "sweep more" computes it' in err
    assert main(["sweep", "more", "--plan", "--data", str(data)]) == 0
    assert "2 x 6 cells: 6 stored, 6 to compute" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--refine", "0"], "--refine 0 is outside 1 to 10000"),
        (["--refine", "x"], "'x' is not a whole number"),
        (["--add", "seeds"], "--add and --save go with --refine"),
        (["--refine", "9", "--add", "scheduler"], "use one of guidance_scale, seeds"),
        (["--refine", "1", "--save", "a"], "nothing to save"),
    ],
)
def test_a_refinement_that_cannot_be_is_said_in_words(
    more: list[str],
    words: str,
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_all(spec, tmp_path / "data")
    assert main(["effects", str(spec), "--data", str(tmp_path / "data"), *more]) == 2
    assert words in capsys.readouterr().err
