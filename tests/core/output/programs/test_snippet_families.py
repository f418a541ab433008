"""The program for models of other families makes the engine's pixels, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.files import single_file
from core.diffusion.models.load import describe, load_model
from core.diffusion.settings import GenerationSettings
from core.output.programs.snippet import snippet
from core.output.programs.snippet_model import PUBLISHED
from core.output.programs.snippet_source import SOURCE_FILE
from tests.core.diffusion.tiny import build, save_single_file
from tests.core.output.programs.places import placed

PLAIN = GenerationSettings(
    prompt="a red apple",
    width=64,
    height=64,
    seed=5,
    num_inference_steps=2,
    guidance_scale=4.0,
    scheduler="Euler",
)
PICTURE = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)

SDXL = [
    PLAIN,
    replace(PLAIN, negative_prompt="green", guidance_rescale=0.5, width=96),
    replace(PLAIN, prompt_2="a glass sphere", prompt_blend=0.3),
    replace(PLAIN, prompt="a (red:1.4) apple", prompt_2="a sphere", prompt_blend=0.5),
    replace(PLAIN, prompt="a (red:1.4) apple", guidance_scale=1.0),
    replace(PLAIN, prompt="a (red:1.4) apple", emphasis="No norm"),
    replace(PLAIN, snapshot=1),
    replace(PLAIN, clip_skip=1, negative_prompt="green"),
    replace(PLAIN, clip_skip=1, prompt_2="a glass sphere", prompt_blend=0.3),
    replace(PLAIN, clip_skip=1, prompt="a (red:1.4) apple", negative_prompt="green"),
    replace(PLAIN, init_image="0" * 64, strength=0.6, num_inference_steps=3),
    replace(PLAIN, guidance_method="PAG", guidance_start=0.5, negative_prompt="green"),
    replace(PLAIN, guidance_method="PAG", guidance_scale=1.0, prompt="a (red:1.4) apple"),
    replace(PLAIN, guidance_method="APG", prompt_2="a glass sphere", prompt_blend=0.3),
    replace(
        PLAIN, prompt="a [red:blue:1] apple BREAK a robot", prompt_2="an owl", prompt_blend=0.3
    ),
    replace(PLAIN, prompt="a (red:1.3) apple AND a robot :0.5", negative_prompt="[a|b]"),
    replace(PLAIN, prompt="a [red|blue] apple", guidance_scale=1.0, clip_skip=1),
]
VELOCITY = [
    replace(PLAIN, guidance_method="CFG++", guidance_scale=0.7),
    replace(PLAIN, guidance_method="CFG++", guidance_scale=0.7, scheduler="DDIM"),
    replace(PLAIN, guidance_method="CFG-Zero*"),
]
LCM = [
    replace(PLAIN, scheduler="LCM", num_inference_steps=3, guidance_scale=8.0, prompt_blend=0.4),
    replace(PLAIN, scheduler="LCM", guidance_scale=0.5, negative_prompt="green"),
    replace(PLAIN, scheduler="LCM", guidance_method="PAG", guidance_start=0.5),
    replace(PLAIN, scheduler="LCM", prompt="a [red|blue] apple BREAK green"),
]


def test_the_program_makes_the_engines_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os\nimport torch\ntorch.cuda.is_available = lambda: False\n"
    wanted: list[tuple[Path, Image.Image, GenerationSettings]] = []

    def add(engine: Engine, source: Path, settings: GenerationSettings, **replaced: str) -> None:
        nonlocal program
        folder = tmp_path / str(len(wanted))
        folder.mkdir()
        Image.fromarray(PICTURE).save(folder / SOURCE_FILE)
        text = placed(snippet(settings, source, engine.model.info), Path(source))
        for name, value in replaced.items():
            text = text.replace(PUBLISHED[name], value)
        program += f"os.chdir({str(folder)!r})\nexec({text!r}, {{}})\n"
        wanted.append((folder, engine.generate([settings], strict=True)[0].image, settings))

    for family, all_settings in (
        ("SDXL", SDXL),
        ("SD 2.x (v-prediction)", VELOCITY),
        ("LCM of SD 1.x", LCM),
    ):
        model = tmp_path / family
        pipe = build(family)
        pipe.save_pretrained(model)
        engine = Engine(load_model(str(model), device="cpu"), inputs=lambda _: PICTURE)
        for settings in all_settings:
            add(engine, model, settings)
        if family == "SDXL":
            configs = tmp_path / "configs" / "sdxl"
            shutil.copytree(model, configs, ignore=shutil.ignore_patterns("*.safetensors"))
            monkeypatch.setattr(single_file, "CONFIGS", configs.parent)
            file = tmp_path / "photo.safetensors"
            save_single_file(pipe, file)
            add(Engine(load_model(str(file), device="cpu")), file, PLAIN, SDXL=str(configs))
    file = tmp_path / "all.py"  # longer than a command line may be
    file.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not expected" not in done.stderr, "a pipeline was given what it does not know"
    for folder, image, settings in wanted:
        made = np.asarray(Image.open(folder / "image.png"), dtype=int)
        assert np.abs(made - np.asarray(image, dtype=int)).max() == 0, (folder.name, settings)


def test_a_hub_model_is_pinned_to_its_commit() -> None:
    info = replace(describe("bundled"), source="somebody/toy", revision="abc123")
    text = snippet(PLAIN, "somebody/toy@abc", info)
    assert "'somebody/toy'," in text
    assert "revision='abc123'," in text


def test_v_prediction_that_a_file_tells_of_is_in_the_program(tmp_path: Path) -> None:
    info = replace(
        describe("bundled"),
        folder=single_file.CONFIGS / "sd1",
        file=tmp_path / "v.safetensors",
        scheduler_config={"prediction_type": "v_prediction"},
    )
    assert "prediction_type='v_prediction'" in snippet(PLAIN, "v.safetensors", info)
