"""What every test may ask for."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

if TYPE_CHECKING:
    from core.diffusion.engine import Engine
    from core.diffusion.models.load import LoadedModel


# One thread: beside other programs the threads of a pool wait for each other at every layer, and
# a test of two seconds takes minutes. Set before torch is imported; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines are busy: no test asserts a time.
settings.register_profile("lightbox", deadline=None)
settings.load_profile("lightbox")


FIRST = ("browser", "pages", "faults")
"""Folders whose files take longest for the number of their tests: begun last, one worker would go
on alone with them.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of FIRST come first; the order within a file stays."""

    def place(item: pytest.Item) -> int:
        folder = item.nodeid.split("/")[1]
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)


def max_difference(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any subpixel, in 1/255."""
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


@pytest.fixture(scope="session")
def bundled() -> LoadedModel:
    from core.diffusion.models.load import load_model

    return load_model("bundled", device="cpu")


@pytest.fixture(scope="session")
def model(bundled: LoadedModel) -> LoadedModel:
    """The bundled model; a file whose tests need no trained one says `return narrow` in its own."""
    return bundled


@pytest.fixture(scope="session")
def narrow(bundled: LoadedModel) -> LoadedModel:
    """The bundled model with a UNet and a VAE of few channels and random weights: a third of its
    time, for what holds whatever the weights, as equality with diffusers does.
    """
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = dict(bundled.unet.config) | {"block_out_channels": [32, 32, 32]}
    vae = dict(bundled.vae.config) | {"block_out_channels": [8, 8, 8, 8]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = [UNet2DConditionModel.from_config(unet), AutoencoderKL.from_config(vae)]
    with torch.no_grad():
        for part in parts:
            for weights in part.eval().parameters():  # louder than as built: the prompt is to show
                weights.mul_(1.5 if weights.ndim > 1 else 1.0)
    return dataclasses.replace(bundled, unet=parts[0], vae=parts[1])


@pytest.fixture
def engine(model: LoadedModel) -> Engine:
    from core.diffusion.engine import Engine

    return Engine(model)
