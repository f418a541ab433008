"""The program of an image-to-image picture makes the engine's pixels, beside its source."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel
from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings
from core.output.programs.snippet import snippet
from core.output.programs.snippet_mask import MASK_FILE
from core.output.programs.snippet_source import LATENTS_FILE, SOURCE_FILE
from tests.core.output.programs.places import placed

SLOPE = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))
SOURCE = np.stack([SLOPE, SLOPE[::-1], 255 - SLOPE], axis=-1)
MASK = np.where(SLOPE > 128, 255, 0).astype(np.uint8)
CORNER = np.where((SLOPE > 170) & (np.arange(48)[:, None] < 17), 255, 0).astype(np.uint8)
LATENTS = np.random.default_rng(3).standard_normal((4, 6, 8), dtype=np.float32)
GREY = np.ascontiguousarray(SLOPE[:, ::-1])
INPUTS = {input_digest(array): array for array in (SOURCE, MASK, CORNER, GREY, LATENTS)}

PLAIN = GenerationSettings(
    prompt='a "red" apple',
    negative_prompt="green",
    seed=4,
    width=64,
    height=48,
    num_inference_steps=6,
    guidance_scale=4.0,
    init_image=input_digest(SOURCE),
    strength=0.5,
)
MASKED = replace(PLAIN, mask_image=input_digest(MASK), scheduler="Euler a")
GREY_MASKED = replace(PLAIN, mask_image=input_digest(GREY), mask_mode="differential", strength=0.9)
AREA = replace(
    PLAIN, mask_image=input_digest(CORNER), masked_only=True, masked_padding=6, scheduler="Heun"
)
PROGRAMS = [
    PLAIN,
    replace(PLAIN, posterior="mean", scheduler="Heun"),
    replace(PLAIN, posterior="latents", init_image=input_digest(LATENTS), scheduler="PNDM"),
    replace(PLAIN, strength=0.35, exact_steps=True, scheduler="DDIM"),
    replace(PLAIN, strength=0.4, match_noise=True, scheduler="DPM++ 2M Karras"),
    replace(PLAIN, strength=0.0),
    replace(PLAIN, strength=0.1, posterior="mean", guidance_scale=1.0),
    replace(PLAIN, guidance_rescale=0.6),
    replace(PLAIN, variation_seed=9, variation_strength=0.3, variation_chain="slerp:7:0.2"),
    replace(PLAIN, snapshot=2, scheduler="DPM2"),
    replace(PLAIN, prompt_2="a blue pear", prompt_blend=0.5),
    replace(PLAIN, guidance_method="PAG", guidance_start=0.4, strength=0.9),
    replace(PLAIN, guidance_method="CFG++", guidance_scale=0.7, scheduler="Euler"),
    MASKED,
    replace(MASKED, guidance_method="APG", guidance_end=0.5),
    replace(MASKED, posterior="mean"),
    replace(MASKED, strength=1.0, variation_seed=9, variation_strength=0.3),
    replace(MASKED, mask_grow=9),
    replace(MASKED, mask_grow=-9, mask_blur=5, scheduler="DDIM"),
    replace(GREY_MASKED, mask_mode="binary"),
    replace(GREY_MASKED, scheduler="Heun"),
    replace(PLAIN, scheduler="Heun", s_churn=20.0),
    replace(GREY_MASKED, scheduler="Heun", s_churn=2.0),
    replace(MASKED, scheduler="DPM2 a", eta=0.5),
    replace(PLAIN, scheduler="Heun", s_churn=20.0, match_noise=True),
    replace(GREY_MASKED, strength=1.0, mask_blur=4, mask_grow=3, snapshot=3),
    replace(GREY_MASKED, strength=0.0, guidance_scale=1.0),
    replace(GREY_MASKED, posterior="mean", guidance_scale=1.0, scheduler="PNDM"),
    AREA,
    replace(AREA, mask_grow=3, mask_blur=2, masked_padding=0, strength=1.0),
    replace(AREA, posterior="mean", scheduler="DDIM"),
    replace(AREA, snapshot=2, mask_blur=3),
    replace(AREA, strength=0.0),
    replace(AREA, mask_mode="differential", mask_blur=5, strength=0.9),
]


def test_the_program_makes_the_engines_pixels(model: LoadedModel, tmp_path: Path) -> None:
    """One process runs them all, each in its own folder: starting torch is what takes time."""
    wanted = Engine(model, inputs=INPUTS.__getitem__).generate(PROGRAMS, strict=True)
    program = "import os, sys\nimport torch\ntorch.cuda.is_available = lambda: False\n"
    program += "from diffusers.utils.torch_utils import randn_tensor\n"
    for index, generation in enumerate(wanted):
        folder = tmp_path / str(index)
        folder.mkdir()
        settings = generation.settings
        if settings.posterior == "latents":
            np.save(folder / LATENTS_FILE, LATENTS)
        else:
            Image.fromarray(SOURCE).save(folder / SOURCE_FILE)
        if settings.mask_image:
            Image.fromarray(INPUTS[settings.mask_image]).save(folder / MASK_FILE)
        text = placed(snippet(settings, BUNDLED_FOLDER), BUNDLED_FOLDER)
        program += f"os.chdir({str(folder)!r})\nexec({text!r}, {{}})\n"
        # A program that varies the noise is the last of its process: here another follows.
        program += (
            "for name, module in list(sys.modules.items()):\n"
            "    if name.endswith(('_img2img', '_inpaint')) and hasattr(module, 'randn_tensor'):\n"
            "        module.randn_tensor = randn_tensor\n"
        )
    file = tmp_path / "all.py"  # longer than a command line may be
    file.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    different: list[GenerationSettings] = []
    for index, generation in enumerate(wanted):
        made = np.asarray(Image.open(tmp_path / str(index) / "image.png"), dtype=int)
        difference = np.abs(made - np.asarray(generation.image, dtype=int)).max()
        if difference:
            different.append(generation.settings)
    assert different == []
