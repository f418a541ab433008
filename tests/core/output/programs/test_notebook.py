"""The notebook runs on plain diffusers and makes the engine's pixels, twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import BUNDLED_FOLDER
from core.diffusion.settings import GenerationSettings, SettingsError
from core.output.programs.notebook import lines_by_hand, notebook
from core.output.programs.snippet import snippet
from tests.core.output.programs.places import placed

PLAIN = GenerationSettings(
    prompt="a red apple on a blue background, flat style",
    seed=3,
    num_inference_steps=5,
    guidance_scale=5.0,
)
RUNS = {
    "plain": PLAIN,
    "everything": replace(
        PLAIN,
        prompt='a "glossy" robot\'s {head}\n\\ on yellow',
        negative_prompt="blue",
        width=96,
        height=136,
        guidance_scale=5.5,
        guidance_rescale=0.4,
        scheduler="Euler a",
        variation_seed=12,
        variation_strength=0.35,
    ),
    "unguided": replace(PLAIN, guidance_scale=1.0, scheduler="PNDM", negative_prompt="x"),
    "blended": replace(PLAIN, prompt_2="an owl", prompt_blend=0.3, scheduler="Heun"),
    "eta of Euler a": replace(PLAIN, scheduler="Euler a", eta=0.5, noise_multiplier=1.1),
    "eta of DPM2 a": replace(PLAIN, scheduler="DPM2 a", eta=0.5),
    "churn of Heun": replace(PLAIN, scheduler="Heun", s_churn=5.0),
    "eta of DDIM": replace(PLAIN, scheduler="DDIM", eta=0.5),
    "clip skip": replace(PLAIN, clip_skip=1, negative_prompt="blue"),
    "weighed": replace(PLAIN, prompt="a (red:1.4) apple", negative_prompt="[blue]"),
}


DIFFERENT = "two pictures that differ"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[Any]]]:
    """The folder and the executed cells of each run, and of one whose comparison must fail.

    One kernel runs them one after another, each in its own folder and among no names of the last:
    starting torch is what takes time.
    """
    data = {name: notebook(settings, BUNDLED_FOLDER) for name, settings in RUNS.items()}
    data[DIFFERENT] = data["plain"].replace(
        b"Namespace(guidance_scale=5.0", b"Namespace(guidance_scale=5.1"
    )
    assert data[DIFFERENT] != data["plain"]
    whole = cast(Any, nbformat).v4.new_notebook()
    folders = {name: tmp_path_factory.mktemp("notebook") for name in data}
    places: dict[str, slice] = {}
    for name, book in data.items():
        cells = cast(Any, nbformat).reads(placed(book.decode(), BUNDLED_FOLDER), as_version=4).cells
        begin = f"%reset -f\nimport os\nos.chdir({str(folders[name])!r})"
        whole.cells.append(cast(Any, nbformat).v4.new_code_cell(begin))
        places[name] = slice(len(whole.cells), len(whole.cells) + len(cells))
        whole.cells += cells
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        NotebookClient(whole, timeout=600, kernel_name="python3", allow_errors=True).execute()
    return {name: (folders[name], whole.cells[place]) for name, place in places.items()}


def errors(cells: list[Any]) -> list[str]:
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    return [str(out.evalue) for out in outputs if out.output_type == "error"]


@pytest.mark.parametrize("name", RUNS)
def test_it_executes_to_the_engines_pixels(
    engine: Engine, executed: dict[str, tuple[Path, list[Any]]], name: str
) -> None:
    (wanted,) = engine.generate([RUNS[name]], strict=True)
    folder, cells = executed[name]
    assert errors(cells) == []
    made = np.asarray(Image.open(folder / "image.png"), dtype=int)
    assert np.abs(made - np.asarray(wanted.image, dtype=int)).max() == 0
    last = cells[-1].outputs[0].data["text/plain"]
    assert "The same picture, to the last bit" in last


@pytest.mark.parametrize("name", [name for name in RUNS if not RUNS[name].init_image])
def test_the_lines_of_each_part_are_the_notebooks(name: str) -> None:
    """What stands beside a block on Step by step is what the executed notebook runs."""
    book = json.loads(notebook(RUNS[name], "some/model"))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    run = {line.strip() for cell in code for line in cell.splitlines()}
    parts = lines_by_hand(RUNS[name])
    assert ("guidance" in parts) == RUNS[name].uses_guidance
    for part, lines in parts.items():
        assert {line.strip() for line in lines.splitlines()} - run == set(), part


def test_two_pictures_that_differ_end_in_an_error(
    executed: dict[str, tuple[Path, list[Any]]],
) -> None:
    """The notebook's own comparison can fail."""
    (said,) = errors(executed[DIFFERENT][1])
    assert "the two pictures differ" in said


def test_no_path_of_this_computer_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "somebody").mkdir()
    for source in (BUNDLED_FOLDER, tmp_path / "somebody"):
        text = notebook(PLAIN, source).decode()
        assert str(source) not in text
        assert "write here where" in text


def test_its_first_half_is_the_snippet() -> None:
    book = json.loads(notebook(PLAIN, "some/model"))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    program = "\n".join(code[:3]).removesuffix("\nimage")

    def kept(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.strip()]

    assert kept(program) == kept(snippet(PLAIN, "some/model"))


def test_without_the_loop_it_is_the_program_alone() -> None:
    book = json.loads(notebook(PLAIN, "x", by_hand=False))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 3
    assert not any("by_hand" in cell or "scheduler.step(" in cell for cell in code)
    assert "written out" not in "".join(book["cells"][0]["source"])


def test_equal_runs_are_equal_files_and_a_snapshot_is_the_whole_run() -> None:
    assert notebook(PLAIN, "x") == notebook(replace(PLAIN, snapshot=2), "x")


@pytest.mark.parametrize(
    "prompt", ["", "# a heading", "$x$ *b* <b>i</b> [l](u)", "two\nlines", "'''", '"""', "{0} {x}"]
)
def test_a_prompt_stays_a_text(prompt: str) -> None:
    book = cast(Any, nbformat).reads(
        notebook(replace(PLAIN, prompt=prompt), "x").decode(), as_version=4
    )
    cast(Any, nbformat).validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            compile(cell.source, "cell", "exec")
    heading = book.cells[0].source.splitlines()[0]
    assert heading.startswith("# ")
    assert "<b>" not in heading.replace("\\<", "")


def test_settings_that_cannot_run_are_refused() -> None:
    with pytest.raises(SettingsError):
        notebook(replace(PLAIN, num_inference_steps=0), "x")
