"""The program and the notebook load a VAE from beside them, and make the engine's pixels."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors.torch import save_file

from core.diffusion.engine import Engine
from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel
from core.output.programs.notebook import notebook
from core.output.programs.snippet import snippet
from core.output.programs.snippet_source import SOURCE_FILE
from tests.core.diffusion.models.vae.made import (
    kl_file,
    kl_folder,
    original_names,
    other_weights,
    tiny_folder,
)
from tests.core.diffusion.sampling.test_image_to_image import BASE, INPUTS, SOURCE
from tests.core.output.programs.places import placed

NAMES = ("hard", "soft.safetensors", "old.safetensors", "small", "taesd.safetensors")
TEXT = replace(BASE, init_image="", num_inference_steps=2)
PROGRAMS = [
    *(replace(TEXT, vae=name) for name in NAMES),
    replace(BASE, vae="small", num_inference_steps=2),
    replace(BASE, vae="small", posterior="mean", num_inference_steps=2),
    replace(BASE, vae="small", strength=0.0),
    replace(BASE, vae="soft.safetensors", posterior="mean", num_inference_steps=2),
    replace(BASE, vae="hard", strength=0.0),
    replace(TEXT, vae="taesd.safetensors", snapshot=1),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vaes")
    kl_folder(root, "hard")
    kl_file(root, "soft")
    save_file(original_names(other_weights(5)), root / "old.safetensors")
    tiny_folder(root, "small")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        save_file(AutoencoderTiny().state_dict(), root / "taesd.safetensors")
    return root


def beside(root: Path, folder: Path, name: str) -> None:
    """What a person does: copy the VAE to where the program runs."""
    if (root / name).is_dir():
        shutil.copytree(root / name, folder / name)
    else:
        shutil.copy(root / name, folder)


def test_the_program_makes_the_engines_pixels(
    model: LoadedModel, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    wanted = Engine(model, inputs=INPUTS.__getitem__).generate(PROGRAMS, strict=True)
    program = "import os, sys\nimport torch\ntorch.cuda.is_available = lambda: False\n"
    for index, generation in enumerate(wanted):
        folder = tmp_path / str(index)
        folder.mkdir()
        Image.fromarray(SOURCE).save(folder / SOURCE_FILE)
        beside(root, folder, generation.settings.vae)
        text = placed(snippet(generation.settings, BUNDLED_FOLDER), BUNDLED_FOLDER)
        program += f"os.chdir({str(folder)!r})\nexec({text!r}, {{}})\n"
    file = tmp_path / "all.py"
    file.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    for index, generation in enumerate(wanted):
        made = np.asarray(Image.open(tmp_path / str(index) / "image.png"), dtype=int)
        different = np.abs(made - np.asarray(generation.image, dtype=int)).max()
        assert different == 0, generation.settings


def test_the_notebook_loads_it_and_its_loop_uses_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    settings = replace(TEXT, vae="small")
    beside(root, tmp_path, "small")
    book: Any = json.loads(placed(notebook(settings, BUNDLED_FOLDER).decode(), BUNDLED_FOLDER))
    cells = ["".join(one["source"]) for one in book["cells"] if one["cell_type"] == "code"]
    assert "AutoencoderTiny.from_pretrained('small'" in cells[0]
    code = "import torch\ntorch.cuda.is_available = lambda: False\n" + "\n".join(cells)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "the two pictures differ" in code, "its last cell compares them"
