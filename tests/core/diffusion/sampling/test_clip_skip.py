"""clip_skip: the prompt's embedding from before the text encoder's last layers, as in diffusers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.families import FAMILIES
from core.diffusion.models.load import load_model
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.tiny import build

SETTINGS = GenerationSettings(
    prompt="a red apple on a blue background",
    negative_prompt="green",
    width=64,
    height=64,
    seed=11,
    num_inference_steps=2,
    guidance_scale=5.0,
    scheduler="Euler",
)


def by_diffusers(pipe: Any, settings: GenerationSettings) -> Image.Image:
    """diffusers 0.42 looks for the final norm of SD 1.x and 2.x where transformers 4 has it."""
    if "XL" not in type(pipe).__name__ and not hasattr(pipe.text_encoder, "text_model"):
        vars(pipe.text_encoder)["text_model"] = pipe.text_encoder
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        settings.prompt,
        negative_prompt=settings.negative_prompt,
        width=settings.width,
        height=settings.height,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        clip_skip=settings.clip_skip,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
    ).images[0]


@pytest.mark.parametrize("family", ["SD 1.x", "SD 2.x", "SDXL"])
def test_strict_equals_the_pipeline_of_each_family(family: str, tmp_path: Path) -> None:
    build(family).save_pretrained(tmp_path / "model")
    engine = Engine(load_model(str(tmp_path / "model"), device="cpu"))
    pipe = getattr(diffusers, FAMILIES[family].text_to_image).from_pretrained(tmp_path / "model")
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pictures = []
    skips = (0, 1) if family == "SDXL" else (0, 2)  # of three layers
    for clip_skip in skips:
        settings = replace(SETTINGS, clip_skip=clip_skip)
        pictures.append(engine.generate([settings], strict=True)[0].image)
        assert max_difference(pictures[-1], by_diffusers(pipe, settings)) == 0, clip_skip
    assert len({picture.tobytes() for picture in pictures}) == len(skips)


def test_the_bundled_model_equals_the_pipeline_and_says_how_deep_its_encoder_is(
    engine: Engine,
) -> None:
    deepest = replace(SETTINGS, clip_skip=2)
    ours = engine.generate([deepest], strict=True)[0].image
    vars(engine.model.text_encoder).pop("text_model", None)
    pipe = engine.model.pipeline("Euler")
    try:
        assert max_difference(ours, by_diffusers(pipe, deepest)) == 0
    finally:
        vars(pipe.text_encoder).pop("text_model", None)
    with pytest.raises(SettingsError, match=r"outside 0 to 2: .* has 3 layers"):
        engine.generate([replace(SETTINGS, clip_skip=3)], strict=True)
