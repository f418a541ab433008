"""VAEs by name: what is found, what it is said to be, and every way in which one is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.models.load import describe
from core.diffusion.models.vae.files import VaeError, find_vae, list_vaes, misfit, wanted_vae
from core.diffusion.named_files import digest_of, file_problems, walked_once
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.core.diffusion.models.vae.made import (
    OWN,
    WEIGHTS,
    kl_file,
    kl_folder,
    original_names,
    other_weights,
    tiny,
    tiny_folder,
)

SETTINGS = GenerationSettings(prompt="a red apple")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "models"
    root.mkdir()
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    return root


def test_files_and_folders_are_found_in_the_root_and_in_its_vae_folder(root: Path) -> None:
    assert list_vaes() == []
    kl_file(root, "soft")
    kl_folder(root / "VAE", "hard")
    tiny_folder(root / "vaes", "small")
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(2, 8)}, root / "ink.safetensors")
    (root / "broken.safetensors").write_bytes(b"no header")
    assert list_vaes() == ["hard", "small", "soft.safetensors"]
    assert find_vae("soft") == find_vae("soft.safetensors")
    assert {name: find_vae(name).layout.class_name for name in list_vaes()} == {
        "hard": "AutoencoderKL",
        "small": "AutoencoderTiny",
        "soft.safetensors": "AutoencoderKL",
    }
    info = describe("bundled")
    assert all(misfit(find_vae(name), info) == "" for name in list_vaes())


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_the_names_of_the_original_code_say_the_same(root: Path, prefix: str) -> None:
    plain = find_vae(kl_file(root, "plain").name).layout
    save_file(original_names(other_weights(1), prefix), root / "old.safetensors")
    assert find_vae("old").layout == plain
    assert (plain.channels, plain.factor, plain.blocks) == (4, 8, (32, 64, 128, 128))
    assert (plain.depth, plain.has_attention) == (1, False)


def test_a_tiny_file_is_told_by_its_stages(root: Path) -> None:
    for levels in (3, 4):
        save_file(tiny(levels=levels, width=64).state_dict(), root / f"{levels}.safetensors")
        layout = find_vae(str(levels)).layout
        assert (layout.class_name, layout.factor) == ("AutoencoderTiny", 2 ** (levels - 1))


def test_the_digest_goes_by_content(root: Path) -> None:
    file, folder = kl_file(root, "soft"), kl_folder(root, "hard")
    plain = digest_of(SETTINGS, "m")
    assert plain == SETTINGS.digest("m") == replace(SETTINGS, vae="").digest("m")
    soft = digest_of(replace(SETTINGS, vae="soft"), "m")
    assert soft == digest_of(replace(SETTINGS, vae="soft.safetensors"), "m") != plain
    assert soft == replace(SETTINGS, vae="soft").digest("m", None, file_sha256(file))
    hard = digest_of(replace(SETTINGS, vae="hard"), "m")
    assert hard not in (soft, plain)
    gone = digest_of(replace(SETTINGS, vae="gone"), "m")
    assert gone not in (soft, hard, plain)
    file.rename(root / "other.safetensors")
    assert digest_of(replace(SETTINGS, vae="other"), "m") == soft
    folder.rename(root / "moved")
    assert digest_of(replace(SETTINGS, vae="moved"), "m") == hard
    config = json.loads((root / "moved" / "config.json").read_text())
    (root / "moved" / "config.json").write_text(json.dumps(config | {"_name_or_path": "x"}))
    assert digest_of(replace(SETTINGS, vae="moved"), "m") == hard, "where it came from"
    (root / "moved" / "config.json").write_text(json.dumps(config | {"norm_num_groups": 4}))
    assert digest_of(replace(SETTINGS, vae="moved"), "m") != hard


def test_the_roots_are_searched_once_for_many(root: Path) -> None:
    kl_file(root, "soft")
    with walked_once():
        assert wanted_vae(replace(SETTINGS, vae="soft")) is not None
        kl_file(root, "late", seed=5)
        with pytest.raises(SettingsError, match="late is not here"):
            wanted_vae(replace(SETTINGS, vae="late"))
    assert wanted_vae(replace(SETTINGS, vae="late")) is not None


def _none_here(root: Path) -> None:
    """Nothing is."""


def _another_here(root: Path) -> None:
    kl_file(root, "odder")


def _two_of_a_name(root: Path) -> None:
    kl_file(root, "odd", seed=1)
    kl_file(root / "vae", "odd", seed=2)


def _a_lora(root: Path) -> None:
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(2, 8)}, root / "odd.safetensors")


def _a_whole_model(root: Path) -> None:
    tensors = original_names(other_weights(1), "first_stage_model.")
    unet = {"model.diffusion_model.out.2.weight": torch.zeros(4, 4)}
    save_file(tensors | unet, root / "odd.safetensors")


def _cut_short(root: Path) -> None:
    file = kl_file(root, "odd")
    file.write_bytes(file.read_bytes()[:-100])


def _other_channels(root: Path) -> None:
    kl_folder(root, "odd", latent_channels=16)


def _tiny_of_other_channels(root: Path) -> None:
    tiny_folder(root, "odd", channels=16)


def _other_factor(root: Path) -> None:
    three = {
        "block_out_channels": [8, 8, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
    }
    kl_folder(root, "odd", **three)


def _tiny_of_another_factor(root: Path) -> None:
    tiny_folder(root, "odd", levels=3)


def _other_scaling(root: Path) -> None:
    kl_folder(root, "odd", scaling_factor=0.13025)


def _other_layers(root: Path) -> None:
    folder = kl_folder(root / "elsewhere", "odd", block_out_channels=[16, 16, 16, 16])
    (folder / WEIGHTS).rename(root / "odd.safetensors")


def _pickle(root: Path) -> None:
    folder = kl_folder(root, "odd")
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")


def _another_class(root: Path) -> None:
    folder = kl_folder(root, "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "VQModel"}))


def _code(root: Path) -> None:
    (kl_folder(root, "odd") / "model.py").write_text("raise SystemExit")


def _a_mean_of_its_own(root: Path) -> None:
    kl_folder(root, "odd", latents_mean=[0.1] * 4)


def _no_numbers(root: Path) -> None:
    folder = kl_folder(root, "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"latent_channels": "four"}))


BAD: dict[Callable[[Path], None], str] = {
    _none_here: "odd is not here: put its .safetensors file",
    _another_here: "odd is not here; did you mean odder.safetensors?",
    _two_of_a_name: "odd stands for 2 VAEs",
    _a_lora: "odd.safetensors is no VAE",
    _a_whole_model: "odd.safetensors is a whole model, not a VAE alone",
    _cut_short: "was not copied or downloaded to the end",
    _other_channels: "odd has 16 latent channels, and .* 4 latent channels",
    _tiny_of_other_channels: "odd has 16 latent channels, and .* 4 latent channels",
    _other_factor: "odd has 4 x 4 pixels a latent, and .* 8 x 8",
    _tiny_of_another_factor: "odd has 4 x 4 pixels a latent, and .* 8 x 8",
    _other_scaling: "odd has a scaling factor of 0.13025, and .* of 0.18215",
    _other_layers: "odd.safetensors has other layers than the VAE of",
    _pickle: "holds pickle weights",
    _another_class: "odd is a folder of VQModel",
    _code: "odd holds Python code",
    _a_mean_of_its_own: "latents with a mean of their own",
    _no_numbers: "odd: its config.json holds a value that no VAE has",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_cannot_be_used_is_said_in_one_sentence(
    root: Path, make: Callable[[Path], None]
) -> None:
    make(root)
    (problem,) = file_problems(replace(SETTINGS, vae="odd"), describe("bundled"))
    assert problem.field == "vae"
    assert len(problem.reason.splitlines()) == 1
    import re

    assert re.search(BAD[make], problem.reason), problem.reason


def test_all_that_is_wrong_is_said_at_once(root: Path) -> None:
    wrong = replace(SETTINGS, vae="odd", loras="ink:1")
    assert [problem.field for problem in file_problems(wrong)] == ["loras", "vae"]


def test_a_link_out_of_the_root_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    kl_file(outside, "soft")
    (root / "soft.safetensors").symlink_to(outside / "soft.safetensors")
    (root / "vae").symlink_to(outside)
    assert list_vaes() == []
    with pytest.raises(VaeError, match="not here"):
        find_vae("soft")


def test_looking_imports_no_torch() -> None:
    code = (
        "import sys, core.diffusion.named_files as n, core.diffusion.models.vae.files as f;"
        "f.list_vaes(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_first_digits_are_the_files_own(root: Path) -> None:
    file = kl_file(root, "soft")
    assert find_vae("soft").short == file_sha256(file)[:10]
    folder = kl_folder(root, "hard")
    assert find_vae("hard").short == file_sha256(folder / WEIGHTS)[:10]
    assert load_file(OWN / WEIGHTS).keys() == load_file(file).keys()
