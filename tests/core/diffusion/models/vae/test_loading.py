"""Pictures by another VAE equal those of diffusers' pipelines with that `vae=`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image
from safetensors.torch import load_file, save_file

from core.diffusion.engine import Engine
from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel
from core.diffusion.models.vae import loading
from core.diffusion.models.vae.files import find_vae
from core.diffusion.models.vae.loading import model_for, with_vae
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference
from tests.core.diffusion.models.vae.made import (
    kl_file,
    kl_folder,
    original_names,
    other_weights,
    tiny_folder,
)
from tests.core.diffusion.sampling.test_image_to_image import BASE, INPUTS, MASK, SOURCE

NAMES = ("hard", "soft", "old", "small", "taesd")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A VAE of each kind that is read, by NAMES."""
    root = tmp_path_factory.mktemp("vaes")
    kl_folder(root, "hard")
    kl_file(root, "soft")
    save_file(original_names(other_weights(5), "first_stage_model."), root / "old.safetensors")
    tiny_folder(root, "small")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        save_file(AutoencoderTiny().state_dict(), root / "taesd.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTBOX_MODELS", str(root))
        yield root


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


def by_diffusers(root: Path, name: str) -> Any:
    """The part as a person loads it."""
    if name in ("hard", "small"):
        cls: Any = AutoencoderKL if name == "hard" else AutoencoderTiny
        return cls.from_pretrained(root / name)
    if name == "taesd":
        part = AutoencoderTiny()
        part.load_state_dict(load_file(root / "taesd.safetensors"))
        return part.eval()
    cls = AutoencoderKL
    return cls.from_single_file(
        str(root / f"{name}.safetensors"), config=str(BUNDLED_FOLDER), subfolder="vae"
    )


def pipeline_image(model: LoadedModel, settings: GenerationSettings, vae: Any) -> Image.Image:
    parts = model.pipeline(settings.scheduler).components | {"vae": vae}
    options: dict[str, Any] = {"width": 64, "height": 64}
    kind = "StableDiffusionPipeline"
    if settings.init_image:
        kind = "StableDiffusionImg2ImgPipeline"
        options = {"image": Image.fromarray(SOURCE), "strength": settings.strength}
    if settings.mask_image:
        kind = "StableDiffusionInpaintPipeline"
        options |= {"mask_image": Image.fromarray(MASK), "width": 64, "height": 64}
        if settings.masked_only:
            options["padding_mask_crop"] = settings.masked_padding
    pipe = getattr(diffusers, kind)(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        settings.prompt,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
        **options,
    ).images[0]


WAYS: dict[str, dict[str, Any]] = {
    "text": {"init_image": ""},
    "image": {},
    "inpainting": {"mask_image": next(d for d, one in INPUTS.items() if one is MASK)},
    "masked only": {
        "mask_image": next(d for d, one in INPUTS.items() if one is MASK),
        "masked_only": True,
        "masked_padding": 8,
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_it_equals_the_pipeline_with_that_vae(
    model: LoadedModel, root: Path, name: str, way: str
) -> None:
    settings = replace(BASE, num_inference_steps=4, scheduler="Euler a", **WAYS[way])
    engine = Engine(model, inputs=INPUTS.__getitem__)
    own, ours = (
        engine.generate([replace(settings, vae=vae)], strict=True)[0].image for vae in ("", name)
    )
    theirs = pipeline_image(model, settings, by_diffusers(root, name))
    assert max_difference(ours, theirs) == 0
    assert max_difference(ours, own) > 0


def test_a_tiny_one_draws_nothing_of_the_source(model: LoadedModel, root: Path) -> None:
    """Its encoder gives latents without a distribution: sample and mean are one."""
    engine = Engine(model, inputs=INPUTS.__getitem__)
    settings = replace(BASE, vae="small", num_inference_steps=2, scheduler="DDIM")
    one = engine.generate([replace(settings, strength=0.0)], strict=True)[0].image
    other = engine.generate([replace(settings, strength=0.0, posterior="mean")], strict=True)[0]
    assert max_difference(one, other.image) == 0


def test_the_models_own_is_as_it_was(model: LoadedModel, root: Path) -> None:
    engine, settings = Engine(model), replace(BASE, init_image="", num_inference_steps=2)
    before = engine.generate([settings], strict=True)[0].image
    for name in NAMES:
        engine.generate([replace(settings, vae=name)], strict=True)
    assert max_difference(engine.generate([settings], strict=True)[0].image, before) == 0
    assert model_for(model, settings) is model


def test_each_is_loaded_once_and_few_are_kept(
    model: LoadedModel, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    plain = loading._load
    monkeypatch.setattr(loading, "_load", lambda m, v: loaded.append(v.name) or plain(m, v))
    monkeypatch.setattr(loading, "KEPT", 2)
    fresh = replace(model, unet=torch.nn.Linear(1, 1))
    for name in ("small", "hard", "small", "hard"):
        with_vae(fresh, find_vae(name))
    assert loaded == ["small", "hard"]
    with_vae(fresh, find_vae("soft"))
    with_vae(fresh, find_vae("hard"))
    with_vae(fresh, find_vae("small"))
    assert loaded == ["small", "hard", "soft.safetensors", "small"]


@pytest.mark.parametrize("kind", ["kl file", "kl folder", "tiny file"])
def test_a_missing_tensor_is_named_and_nothing_is_made_up(
    model: LoadedModel, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    if kind == "kl folder":
        file = kl_folder(tmp_path, "odd") / "diffusion_pytorch_model.safetensors"
    elif kind == "kl file":
        file = kl_file(tmp_path, "odd")
    else:
        file = tmp_path / "odd.safetensors"
        save_file(AutoencoderTiny().state_dict(), file)
    tensors = load_file(file)
    lost = (
        next(name for name in tensors if name.startswith("decoder.") and "conv.4" in name)
        if (kind == "tiny file")
        else "decoder.mid_block.resnets.0.conv1.weight"
    )
    del tensors[lost]
    save_file(tensors, file)
    with pytest.raises(SettingsError, match=f"lacks {lost}".replace(".", r"\.")):
        model_for(model, replace(BASE, vae="odd"))


def test_half_precision_follows_the_models_own_rule(model: LoadedModel, root: Path) -> None:
    """SDXL's VAE is kept wide where its configuration says so, and no other is."""
    half = replace(model, dtype=torch.float16, unet=torch.nn.Linear(1, 1))
    sdxl = replace(half, info=replace(half.info, family_name="SDXL"), unet=torch.nn.Linear(1, 1))
    for one, name, expected in (
        (half, "hard", torch.float16),
        (sdxl, "hard", torch.float32),
        (sdxl, "small", torch.float16),
    ):
        assert with_vae(one, find_vae(name)).vae.dtype == expected, name
