import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import (
    BUNDLED_FOLDER,
    ModelError,
    describe,
    list_models,
    load_model,
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(BUNDLED_FOLDER, folder)
    return folder


def test_the_bundled_model_has_every_part_of_stable_diffusion() -> None:
    model = load_model("bundled")
    assert type(model.text_encoder).__name__ == "CLIPTextModel"
    assert model.tokenizer.model_max_length == 77
    assert model.vae.config.latent_channels == 4
    assert (model.info.vae_scale_factor, model.info.default_width) == (8, 128)
    config = model.info.scheduler_config
    assert (config["beta_start"], config["beta_end"]) == (0.00085, 0.012)
    assert config["beta_schedule"] == "scaled_linear"
    assert config["prediction_type"] == "epsilon"
    assert not model.unet.training


def test_the_fingerprint_follows_the_content_not_the_place(copy: Path) -> None:
    assert describe(str(copy)).fingerprint == describe("bundled").fingerprint
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert describe(str(copy)).fingerprint != describe("bundled").fingerprint


def test_a_description_needs_no_torch() -> None:
    code = "import sys; from core.diffusion.models.load import describe; describe('bundled'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("source", ["", "no/such-model", "/no/such/folder", "a b c", "../.."])
def test_an_unknown_model_says_what_to_do(source: str) -> None:
    with pytest.raises(ModelError, match=r"bundled|Check the spelling|save_pretrained"):
        describe(source)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no diffusers model: it has no model_index\.json"):
        load_model(str(tmp_path))


def test_pickle_weights_are_never_opened(copy: Path) -> None:
    for part in (copy / "unet").glob("*.safetensors*"):
        part.unlink()
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ModelError, match="pickle weights") as caught:
        load_model(str(copy))
    assert "safe_serialization=True" in str(caught.value)


def test_a_missing_part_and_cut_weights(copy: Path) -> None:
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model\.safetensors .* cut short"):
        load_model(str(copy))
    shutil.rmtree(copy / "vae")
    with pytest.raises(ModelError, match="lacks vae"):
        load_model(str(copy))


def test_a_corrupt_index(copy: Path) -> None:
    (copy / "model_index.json").write_text("{")
    with pytest.raises(ModelError, match=r"model_index\.json cannot be read"):
        describe(str(copy))


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("", "_class_name", "FluxPipeline", "FLUX"),
        ("unet", "in_channels", 9, "inpainting"),
        ("unet", "encoder_hid_dim_type", "text_image_proj", "encoder of its own"),
    ],
)
def test_models_of_other_kinds_are_named(
    copy: Path, part: str, key: str, value: object, message: str
) -> None:
    file = copy / part / "config.json" if part else copy / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(ModelError, match=message):
        describe(str(copy))


def test_models_are_listed_from_the_setting(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(copy.parent))
    assert list_models() == ["bundled", "copy"]
    assert describe("copy").folder == copy
    monkeypatch.setenv("LIGHTBOX_MODELS", str(copy.parent / "missing"))
    assert list_models() == ["bundled"]


def test_the_linear_preview_is_the_fitted_formula() -> None:
    info = describe("bundled")
    latents = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0)).numpy()
    picture = preview_rgb(latents, info)
    assert picture.shape == (5, 6, 3)
    value = sum(latents[c, 2, 3] * info.latent_format.preview_weight[c][1] for c in range(4))
    expected = round((min(max(value + info.latent_format.preview_bias[1], -1), 1) + 1) * 127.5)
    assert abs(int(picture[2, 3, 1]) - expected) <= 1
