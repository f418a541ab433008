"""Recorded runs and a VAE that need no weights: a frame is its latents' channels, enlarged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.diffusion.events import Computed, Generation
from core.diffusion.models.latent_format import SD_LATENTS
from core.diffusion.models.load import ModelInfo
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory
from core.exports.films.film_settings import FilmedRun
from core.runs.store.store import Store
from tests.core.runs.doubles import RECORD, info

SIDE = 64
SCALING = 0.5
LATENTS = replace(SD_LATENTS, scaling_factor=SCALING)


@dataclass(eq=False)
class FilmModel:
    """LoadedModel's interface as far as frames need it; counts what it decodes."""

    info: ModelInfo = field(default_factory=lambda: replace(info(), latent_format=LATENTS))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    decoded: int = 0

    @property
    def vae(self) -> Any:
        config = SimpleNamespace(scaling_factor=SCALING)
        return SimpleNamespace(config=config, dtype=self.dtype, decode=self._decode)

    def _decode(self, latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        assert not return_dict
        self.decoded += len(latents)
        pixels = (latents[:, :3] * SCALING).repeat_interleave(8, 2).repeat_interleave(8, 3)
        return (pixels,)


def settings(seed: int = 0, **changes: Any) -> GenerationSettings:
    values = {"prompt": "a red apple", "seed": seed, "width": SIDE, "height": SIDE}
    return GenerationSettings(**(values | {"scheduler": "DDIM"} | changes))


def recorded(one: GenerationSettings, calls: int) -> Generation:
    """A run of smooth random latents; the noisy ones fade into the finished one."""
    rng = np.random.default_rng([one.seed, calls])
    shape = (4, one.height // 8, one.width // 8)
    final = rng.uniform(-0.9, 0.9, (4, 1, 1)) * np.ones(shape)
    fades = np.linspace(1, 0, calls + 1).reshape(-1, 1, 1, 1)
    latents = (fades * rng.uniform(-0.9, 0.9, (calls + 1, 4, 1, 1)) + (1 - fades) * final).astype(
        np.float32
    )
    records = tuple(
        replace(
            RECORD,
            step_index=index,
            timestep=999.0 - index,
            sigma=10.0 / (index + 1),
            guidance_gap=0.5 / (index + 1),
            x0_rms=1.0 + 1.0 / (index + 1),
        )
        for index in range(calls)
    )
    trajectory = Trajectory(
        records=records, latents=latents, pred_original_sample=latents[1:] + np.float32(0.1)
    )
    return Generation(
        settings=one,
        image=Image.fromarray(pixels(latents[-1])),
        seconds=0.1,
        trajectory=trajectory,
        computed=Computed(device="cpu", dtype="float32", rows=2, strict=False, versions={}),
    )


def pixels(latents: np.ndarray) -> np.ndarray:
    """What FilmModel's VAE makes of (C, h, w): uint8 (8h, 8w, 3)."""
    unit = (latents[:3] * 0.5 + 0.5).clip(0, 1) * 255
    return unit.round().astype(np.uint8).transpose(1, 2, 0).repeat(8, 0).repeat(8, 1)


def put_run(
    store: Store,
    one: GenerationSettings | None = None,
    calls: int = 5,
    model: ModelInfo | None = None,
) -> FilmedRun:
    """A stored run with its tensors, as a run of its own."""
    made = recorded(one or settings(), calls)
    assert made.trajectory is not None
    return FilmedRun(image=store.put(made, model or info()), records=made.trajectory.records)
