"""Scheduler configurations x schedulers x kinds of run: each equal to diffusers' own pipeline of
that folder. A sample of them here; all by `make parity`.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from core.diffusion.engine import Engine, GenerationError
from core.diffusion.models.load import BUNDLED_FOLDER, load_model
from core.diffusion.recipe.images import input_digest
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings, SettingsError

WHOLE = os.environ.get("LIGHTBOX_PARITY") == "whole"
SAMPLE = 2
"""Runs of each configuration with every test run."""

SOURCE = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
MASK = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((32, 32), np.uint8))
INPUTS = {input_digest(array): array for array in (SOURCE, MASK)}

PNDM = {
    "_class_name": "PNDMScheduler",
    "skip_prk_steps": True,
    "set_alpha_to_one": False,
    "clip_sample": ...,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "as it ships": {},
    "PNDM, as SD 1.5": {**PNDM, "steps_offset": 1},
    "PNDM, offset 0": {**PNDM, "steps_offset": 0},
    "PNDM without an offset": {**PNDM, "steps_offset": ...},
    "DDIM, offset 0": {"steps_offset": 0},
    "DDIM that clips": {"clip_sample": True},
    "DDIM that clips, offset 0": {"clip_sample": True, "steps_offset": 0},
    "DDIM, alpha not one": {"set_alpha_to_one": False},
    "Euler": {"_class_name": "EulerDiscreteScheduler", "interpolation_type": "linear"},
    "Euler, trailing": {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"},
    "Euler with Karras": {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True},
    "Euler a": {"_class_name": "EulerAncestralDiscreteScheduler"},
    "DPM++": {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++"},
    "DPM++, order 3": {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3},
    "DPM++ that ends in Euler": {
        "_class_name": "DPMSolverMultistepScheduler",
        "euler_at_final": True,
    },
    "LMS": {"_class_name": "LMSDiscreteScheduler"},
    "Heun": {"_class_name": "HeunDiscreteScheduler"},
    "UniPC": {"_class_name": "UniPCMultistepScheduler", "solver_type": "bh2"},
    "trailing": {"timestep_spacing": "trailing"},
    "linspace": {"timestep_spacing": "linspace"},
    "linear betas": {"beta_schedule": "linear"},
    "cosine betas": {"beta_schedule": "squaredcos_cap_v2"},
    "shorter betas": {"beta_end": 0.02, "beta_start": 0.0001},
    "v": {"prediction_type": "v_prediction"},
    "v, zero terminal SNR, trailing": {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
}

PLAIN = GenerationSettings(
    prompt="a red apple", width=64, height=64, seed=7, num_inference_steps=5, guidance_scale=4.0
)
KINDS = {
    "text to image": PLAIN,
    "image to image": replace(PLAIN, init_image=input_digest(SOURCE), strength=0.6),
    "inpainting": replace(
        PLAIN, init_image=input_digest(SOURCE), mask_image=input_digest(MASK), strength=0.8
    ),
}


@dataclass(eq=False)
class Both:
    """One folder, as we load it and as diffusers does."""

    engine: Engine
    pipe: Any

    def theirs(self, settings: GenerationSettings, *, from_first: bool = False) -> Image.Image:
        row = SCHEDULERS[settings.scheduler]
        cls = getattr(diffusers, row.class_name)
        options: dict[str, Any] = {}
        kind: Any = diffusers.StableDiffusionPipeline
        if settings.init_image:
            kind = diffusers.StableDiffusionImg2ImgPipeline
            options = {"image": Image.fromarray(SOURCE), "strength": settings.strength}
        if settings.mask_image:
            kind = diffusers.StableDiffusionInpaintPipeline
            options |= {"mask_image": Image.fromarray(MASK)}
        if not settings.init_image or settings.mask_image:
            options |= {"width": settings.width, "height": settings.height}
        pipe = kind(**self.pipe.components, requires_safety_checker=False)
        pipe.scheduler = cls.from_config(self.pipe.scheduler.config, **row.config)
        pipe.set_progress_bar_config(disable=True)
        if from_first:
            _begin_at_the_first(pipe.scheduler)
        return pipe(
            settings.prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
            **options,
        ).images[0]

    def theirs_from_the_first(self, settings: GenerationSettings) -> Image.Image:
        return self.theirs(settings, from_first=True)

    def ours(self, settings: GenerationSettings) -> Image.Image:
        return self.engine.generate([settings], strict=True, record="none")[0].image


def _begin_at_the_first(scheduler: Any) -> None:
    """Else a timestep that rounding has doubled is taken for the second of them, and the run leaves
    its own table at the end.
    """
    lay_out = scheduler.set_timesteps

    def set_timesteps(*arguments: Any, **options: Any) -> None:
        lay_out(*arguments, **options)
        scheduler.set_begin_index(0)

    scheduler.set_timesteps = set_timesteps


OURS = (SettingsError, GenerationError)
"""How the app refuses: in words. Anything else is a fault of ours."""

THEIRS = (ValueError, NotImplementedError, IndexError)


def folder_with(changes: dict[str, Any], target: Path) -> Path:
    """The bundled model with another scheduler_config.json."""
    shutil.copytree(BUNDLED_FOLDER, target)
    file = target / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))
    index = target / "model_index.json"
    parts = json.loads(index.read_text()) | {"scheduler": ["diffusers", config["_class_name"]]}
    index.write_text(json.dumps(parts))
    return target


def outcome(
    make: Callable[[GenerationSettings], Image.Image],
    one: GenerationSettings,
    refusals: tuple[type[Exception], ...],
) -> Any:
    """The pixels, or that there are none. What is no refusal is raised."""
    try:
        return np.asarray(make(one)).astype(int)
    except refusals as error:
        return f"refused: {error}"


def chosen(configuration: str) -> list[tuple[str, str]]:
    every = list(itertools.product(SCHEDULERS, KINDS))
    return every if WHOLE else random.Random(configuration).sample(every, SAMPLE)


@pytest.mark.filterwarnings("ignore")  # what the constructors mend they tell of
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_folder_gives_the_pictures_of_its_pipeline(tmp_path: Path, configuration: str) -> None:
    folder = folder_with(CONFIGURATIONS[configuration], tmp_path / "model")
    both = Both(
        engine=Engine(load_model(str(folder), device="cpu"), inputs=INPUTS.__getitem__),
        pipe=diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True),
    )
    for scheduler, kind in chosen(configuration):
        settings = replace(KINDS[kind], scheduler=scheduler)
        theirs = outcome(both.theirs, settings, THEIRS)
        ours = outcome(both.ours, settings, OURS)
        if isinstance(theirs, str) and "out of bounds" in theirs and not settings.init_image:
            theirs = outcome(both.theirs_from_the_first, settings, THEIRS)
        if isinstance(theirs, str) or isinstance(ours, str):
            assert isinstance(theirs, str) == isinstance(ours, str), (scheduler, kind, theirs, ours)
        else:
            assert np.abs(theirs - ours).max() == 0, (scheduler, kind)
