"""A sweep by hand over each axis of the sampler, the words and the mask: pictures that differ."""

from __future__ import annotations

import io
import itertools
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Visitor, choose, settle
from tests.browser.test_sweep import SMALL, cells, finish, link, run
from tests.core.diffusion.models.vae.made import kl_file, tiny_folder

RAMP = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
SOURCE = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
MASKED = {"strength": 0.9, "num_inference_steps": 4, "scheduler": "DDIM"}
AXES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "Sigma schedule",
        "karras, exponential, uniform",
        {"scheduler": "Euler", "num_inference_steps": 5},
    ),
    ("Timestep spacing", "leading, linspace, trailing", {"scheduler": "DDIM"}),
    ("Solver order", "1, 2, 3", {"num_inference_steps": 8}),
    ("Eta", "0, 0.5, 1", {"scheduler": "DDIM"}),
    ("Eta", "0, 0.5, 1", {"scheduler": "DPM2 a", "num_inference_steps": 3}),
    ("Sigma churn", "0, 1, 2", {"scheduler": "Euler", "num_inference_steps": 4}),
    ("Sigma churn", "0, 1, 2", {"scheduler": "Heun", "num_inference_steps": 4}),
    ("Noise multiplier", "0.9, 1, 1.1", {}),
    ("Final sigma", "zero, sigma_min", {"scheduler": "Euler"}),
    ("Zero terminal SNR", "off, on", {"scheduler": "DDIM", "timestep_spacing": "leading"}),
    ("Emphasis", "Original, No norm", {"prompt": "a (red:1.6) apple"}),
    ("Clip skip", "0, 1", {}),
    ("Mask grow", "-8, 0, 8", MASKED),
    ("Mask blur", "0, 12", {**MASKED, "mask_mode": "differential"}),
    ("Mask mode", "binary, differential", MASKED),
)

ALIKE = ("Emphasis",)
"""Axes along which the bundled model's pictures are one: the mean of its embeddings is next to
nothing, and is not restored.
"""


@pytest.mark.parametrize(
    ("axis", "values", "beside"),
    AXES,
    ids=[f"{axis} {beside.get('scheduler', '')}".strip() for axis, _, beside in AXES],
)
def test_the_values_of_an_axis_are_pictures_that_differ(
    axis: str, values: str, beside: dict[str, Any], visitor: Visitor, server: Server
) -> None:
    seed = 7000 + [(one, other) for one, _, other in AXES].index(
        (axis, beside)
    )  # no cell is shared
    base = {**SMALL, "num_inference_steps": 2, "seed": seed, **beside}
    if beside.get("strength"):
        base["init_image"] = server.store.inputs.keep(SOURCE)
        base["mask_image"] = server.store.inputs.keep(RAMP)
    page = visitor.open(link(**base))
    choose(page, "Columns", axis)
    settle(page)
    count = values.count(",") + 1
    page.get_by_label("Values of columns").fill(values)
    expect(cells(page, "missing")).to_have_count(count)
    before = server.newest_id()
    run(page)
    finish(page, count)
    assert server.newest_id() != before
    expect_pictures(page, server, count, alike=axis in ALIKE)


def test_vaes_are_an_axis(visitor: Visitor, server: Server) -> None:
    """A file, a tiny autoencoder and the model's own, by the names of the axis' values."""
    root = server.store.folder / "models"
    kl_file(root, "soft")
    tiny_folder(root, "small")
    try:
        page = visitor.open(link(**{**SMALL, "num_inference_steps": 2, "seed": 7900}))
        choose(page, "Columns", "VAE")
        settle(page)
        page.get_by_label("Values of columns").fill('"", soft.safetensors, small')
        expect(cells(page, "missing")).to_have_count(3)
        run(page)
        finish(page, 3)
        expect_pictures(page, server, 3, alike=False)
        made = server.queue.cells(server.newest_job().id)
        assert [cell.settings.vae for cell in made] == ["", "soft.safetensors", "small"]
    finally:
        shutil.rmtree(root)


def expect_pictures(page: Page, server: Server, count: int, *, alike: bool) -> None:
    """The pictures of the newest job are all alike or all differ, and none is of one colour."""
    made = [cell.digest for cell in server.queue.cells(server.newest_job().id)]
    assert len(set(made)) == count
    pictures = [picture(server, str(digest)) for digest in made]
    for one, other in itertools.combinations(pictures, 2):
        difference = np.abs(one - other).max()
        assert (difference <= 1) if alike else (difference > 2)
    assert all(one.std() > 0 for one in pictures)
    assert page.locator(".cell img").count() == count


def picture(server: Server, digest: str) -> np.ndarray:
    image = server.store.get(digest)
    assert image is not None
    return np.asarray(Image.open(io.BytesIO(image.path.read_bytes())), dtype=int)
