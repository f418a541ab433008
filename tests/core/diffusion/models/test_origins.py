"""Where models come from: roots, the Hugging Face cache, a hub; and what is refused, by name."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.diffusion.models.files.weights import read_header
from core.diffusion.models.load import BUNDLED_FOLDER, ModelError, describe, list_models, load_model

COMMIT = "5c0f3b1a" * 5


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty model root and an empty Hugging Face cache."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("LIGHTBOX_MODELS", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture
def copy(root: Path) -> Path:
    return Path(shutil.copytree(BUNDLED_FOLDER, root / "copy"))


def cached(cache: Path, name: str, folder: Path = BUNDLED_FOLDER, commit: str = COMMIT) -> Path:
    """A model as huggingface_hub keeps it: blobs, and links to them in a snapshot."""
    repo = cache / ("models--" + name.replace("/", "--"))
    snapshot, blobs = repo / "snapshots" / commit, repo / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            blob = blobs / f"{abs(hash(file)):x}"
            shutil.copy(file, blob)
            link = snapshot / file.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def weights(file: Path, names: dict[str, tuple[int, ...]], **metadata: str) -> Path:
    save_file({name: torch.zeros(shape) for name, shape in names.items()}, file, metadata or None)
    return file


def test_roots_are_separated_as_in_a_path(
    root: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy, other / "second")
    shutil.copytree(copy, other / "copy")
    (other / "copy" / "lightbox.json").unlink()
    monkeypatch.setenv("LIGHTBOX_MODELS", os.pathsep.join([str(root), "", str(other), "/nowhere"]))
    assert list_models() == ["bundled", "copy", "second"]
    assert describe("copy").folder == copy, "the first root's is meant"
    assert describe("second").fingerprint == describe("bundled").fingerprint


def test_checkpoint_files_are_listed_and_loras_are_not(root: Path) -> None:
    weights(root / "whole.safetensors", {"model.diffusion_model.out.0.weight": (4,)})
    weights(root / "style.safetensors", {"lora_unet_down.lora_up.weight": (4,)})
    weights(root / "vae.safetensors", {"decoder.conv_in.weight": (4,)})
    (root / "half.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (root / "old.ckpt").write_bytes(b"x")
    assert list_models() == ["bundled", "half.safetensors", "whole.safetensors"]


def test_a_cached_model_loads_without_a_connection(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    cached(tmp_path / "hub", "somebody/toy")
    assert list_models() == ["bundled", "somebody/toy", f"somebody/toy@{COMMIT[:12]}"]
    model = load_model("somebody/toy", device="cpu")
    assert model.info.fingerprint == describe("bundled").fingerprint
    assert (model.info.revision, model.info.source) == (COMMIT, "somebody/toy")
    assert describe(f"somebody/toy@{COMMIT[:10]}").revision == COMMIT
    with pytest.raises(ModelError, match="not on this machine"):
        describe("somebody/toy@0123456")


def test_without_a_card_it_is_called_by_its_id(tmp_path: Path, root: Path) -> None:
    snapshot = cached(tmp_path / "hub", "somebody/toy")
    (snapshot / "lightbox.json").unlink()
    assert describe("somebody/toy").name == "somebody/toy"


def test_a_model_that_came_after_the_first_look_is_seen(tmp_path: Path, root: Path) -> None:
    assert list_models() == ["bundled"]
    cached(tmp_path / "hub", "somebody/toy")
    assert list_models() == ["bundled", "somebody/toy", f"somebody/toy@{COMMIT[:12]}"]


def test_other_models_of_the_cache_are_not_listed(tmp_path: Path, root: Path) -> None:
    snapshot = cached(tmp_path / "hub", "somebody/flux")
    index = snapshot / "model_index.json"
    text = index.read_text().replace("StableDiffusionPipeline", "FluxPipeline")
    index.unlink()
    index.write_text(text)
    assert list_models() == ["bundled"]
    with pytest.raises(ModelError, match=r"somebody/flux is FLUX\.1"):
        describe("somebody/flux")


def test_what_is_not_here_says_where_it_was_looked_for(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ModelError) as caught:
        describe("somebody/toy")
    assert str(root) in str(caught.value)
    assert str(tmp_path / "hub") in str(caught.value)


def test_a_link_out_of_the_root_is_refused(root: Path, copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    inside = copy / "vae" / "diffusion_pytorch_model.safetensors"
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(ModelError, match=r"copy/vae/diffusion_pytorch_model.* leads out"):
        load_model("copy")


def test_a_folder_that_is_a_link_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(BUNDLED_FOLDER, tmp_path / "elsewhere")
    (root / "evil").symlink_to(elsewhere)
    with pytest.raises(ModelError, match=r"^evil is a link that leads out"):
        load_model("evil")
    file = weights(tmp_path / "away.safetensors", {"model.diffusion_model.x": (1,)})
    (root / "evil.safetensors").symlink_to(file)
    with pytest.raises(ModelError, match=r"^evil\.safetensors is a link that leads out"):
        load_model("evil.safetensors")


def test_a_link_within_the_root_is_followed(root: Path, copy: Path) -> None:
    vae = copy / "vae" / "diffusion_pytorch_model.safetensors"
    vae.rename(root / "shared.bin")
    vae.symlink_to(root / "shared.bin")
    assert describe("copy").fingerprint == describe("bundled").fingerprint


@pytest.mark.parametrize("place", ["pipeline.py", "unet/block.py"])
def test_python_files_are_refused_by_name(copy: Path, place: str) -> None:
    (copy / place).write_text("raise SystemExit('evil')")
    with pytest.raises(ModelError, match=f"^copy/{place} is Python code"):
        load_model("copy")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("_class_name", ["pipeline", "Evil"], "custom pipeline"),
        ("unet", ["evil_module", "UNet2DConditionModel"], "takes its unet from evil_module"),
    ],
)
def test_code_of_its_own_is_refused(copy: Path, key: str, value: list[str], words: str) -> None:
    index = copy / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {key: value}))
    with pytest.raises(ModelError, match=words):
        load_model("copy")


def test_auto_map_is_refused(copy: Path) -> None:
    config = copy / "text_encoder" / "config.json"
    content = json.loads(config.read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}
    config.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"copy/text_encoder/config\.json asks for code"):
        load_model("copy")


def test_remote_code_is_off() -> None:
    from diffusers.utils import constants

    assert constants.DIFFUSERS_DISABLE_REMOTE_CODE is True


def test_a_missing_shard_and_one_that_leads_away(copy: Path) -> None:
    index = copy / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    shard = sorted((copy / "unet").glob("*-00002-of-*"))[0]
    shard.rename(copy / "unet" / "aside")
    with pytest.raises(ModelError, match=rf"copy/unet lacks 1 of 2 files \({shard.name}\)"):
        describe("copy")
    content = json.loads(index.read_text())
    content["weight_map"] = dict.fromkeys(content["weight_map"], "../../secret.safetensors")
    index.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"names '\.\./\.\./secret"):
        describe("copy")


def test_half_precision_is_taken_where_there_is_no_other(copy: Path) -> None:
    plain = copy / "vae" / "diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert load_model("copy", device="cpu").vae.config.latent_channels == 4


def test_files_that_are_not_read_do_not_change_a_model(copy: Path) -> None:
    before = describe("copy").fingerprint
    plain = copy / "vae" / "diffusion_pytorch_model.safetensors"
    shutil.copy(plain, plain.with_name("diffusion_pytorch_model.fp16.safetensors"))
    (copy / "vae" / "notes.md").write_text("mine")
    assert describe("copy").fingerprint == before


SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
    "cond_stage_model.transformer.text_model.x": (1,),
    "first_stage_model.decoder.conv_in.weight": (1,),
}


def without(start: str) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in SD1.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"lora_unet_x.lora_up.weight": (1,)}, r"is a LoRA, not a whole model"),
        ({"control_model.x": (1,)}, "is a ControlNet"),
        ({"decoder.conv_in.weight": (1,)}, "is a VAE alone"),
        ({"emb_params": (1,)}, "is a textual inversion"),
        ({"something": (1,)}, "is no checkpoint of Stable Diffusion"),
        ({"model.diffusion_model.joint_blocks.0.x": (1,)}, "is Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.x": (1,)}, "is a Flux model"),
        (without("cond_stage_model"), "lacks its text encoder"),
        (without("first_stage_model"), "lacks its VAE"),
        (
            SD1 | {"model.diffusion_model.input_blocks.0.0.weight": (320, 9, 3, 3)},
            "inpainting or editing model",
        ),
        (
            {"model.diffusion_model.label_emb.x": (1,), "conditioner.embedders.0.model.x": (1,)},
            "is the SDXL refiner",
        ),
    ],
)
def test_a_file_of_another_kind_is_named(
    root: Path, names: dict[str, tuple[int, ...]], words: str
) -> None:
    file = weights(root / "thing.safetensors", names)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(str(file))
    assert str(caught.value).startswith("thing.safetensors")


def test_the_fingerprint_of_a_file_is_its_sha256(root: Path) -> None:
    """So that AUTOMATIC1111's model hash is the same."""
    import hashlib

    file = weights(root / "dream.safetensors", SD1)
    info = describe("dream.safetensors")
    assert info.fingerprint == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (info.family_name, info.default_width, info.file) == ("SD 1.x", 512, file)


def test_what_the_name_decides_is_in_the_fingerprint(root: Path) -> None:
    names = without("cond_stage_model") | {"cond_stage_model.model.x": (1,)}
    families = {}
    for name in ("a-768", "a-512", "sd_turbo"):
        weights(root / f"{name}.safetensors", names)
        families[name] = describe(f"{name}.safetensors")
    assert families["a-768"].family_name == "SD 2.x (v-prediction)"
    assert families["a-512"].family_name == "SD 2.x"
    assert families["sd_turbo"].family_name == "SD-Turbo"
    assert len({info.fingerprint for info in families.values()}) == 3
    weights(root / "said.safetensors", names, **{"modelspec.prediction_type": "epsilon"})
    assert describe("said.safetensors").family_name == "SD 2.x"


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_other_formats_are_never_opened(root: Path, name: str) -> None:
    (root / name).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ModelError, match=r"is no \.safetensors file.*never loaded"):
        load_model(str(root / name))


def test_broken_files_say_what_happened_to_them(root: Path) -> None:
    whole = weights(root / "a.safetensors", SD1).read_bytes()
    cases = {
        b"": "is no safetensors file",
        b"version https://git-lfs.github.com/spec/v1\noid": "pointer of Git LFS",
        whole[:40]: "ends within its header",
        whole[:-4]: "was not copied or downloaded to the end",
        whole + b"four": "has 4 bytes behind its last tensor",
        b"<html>" + b" " * 400: "is no safetensors file",
        struct.pack("<Q", 4) + b"[[[[": "is no safetensors file",
        struct.pack("<Q", 9) + b'{"a": {}}': "is no safetensors file",
        struct.pack("<Q", 2) + b"[]": "is no safetensors file",
    }
    for content, words in cases.items():
        file = root / "broken.safetensors"
        file.write_bytes(content)
        with pytest.raises(ModelError, match=words):
            read_header(file)


def test_devices_and_types_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTBOX_DEVICE", "gpu7")
    with pytest.raises(ModelError, match="'gpu7' cannot be used"):
        load_model("bundled")
    monkeypatch.setenv("LIGHTBOX_DEVICE", "cpu")
    monkeypatch.setenv("LIGHTBOX_DTYPE", "float8")
    with pytest.raises(ModelError, match="LIGHTBOX_DTYPE is 'float8'"):
        load_model("bundled")
    monkeypatch.setenv("LIGHTBOX_DTYPE", "bfloat16")
    model = load_model("bundled")
    assert (model.dtype, model.vae.dtype) == (torch.bfloat16, torch.bfloat16)
