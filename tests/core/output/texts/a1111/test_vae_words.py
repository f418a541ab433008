"""A VAE in texts: as the web UI writes it, and as other tools name it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.settings import GenerationSettings
from core.output.texts.a1111.parameters import a1111_text, parse_a1111
from core.output.texts.a1111.vae_words import take_vae
from core.output.texts.comfyui.first_pass import understand_graph
from core.output.texts.comfyui.graph import Graph
from tests.core.diffusion.models.vae.made import kl_file, tiny_folder

SETTINGS = GenerationSettings(prompt="a red apple", vae="soft.safetensors")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    kl_file(tmp_path, "soft")
    tiny_folder(tmp_path, "taesd")
    return tmp_path


def test_it_is_written_as_the_web_ui_writes_it(root: Path) -> None:
    short = file_sha256(root / "soft.safetensors")[:10]
    text = a1111_text(SETTINGS, "bundled", "0123456789")
    assert f"Model: bundled, VAE hash: {short}, VAE: soft.safetensors, " in text
    assert "VAE" not in a1111_text(replace(SETTINGS, vae=""), "bundled", "0123456789")
    parsed = parse_a1111(text)
    assert parsed is not None
    assert parsed.values["vae"] == "soft.safetensors"
    assert not any("VAE" in note for note in parsed.notes)


def test_it_is_found_by_name_and_by_hash(root: Path) -> None:
    short = file_sha256(root / "soft.safetensors")[:10]
    known = ["soft.safetensors", "taesd"]

    def taken(name: str, hash_digits: str = "") -> tuple[str, str]:
        return take_vae(name, hash_digits, lambda: known)

    for name in ("soft.safetensors", "soft", "folder/soft.safetensors", r"x\soft.safetensors"):
        assert taken(name) == ("soft.safetensors", "")
    assert taken("taesd.safetensors") == ("taesd", "")
    assert taken("renamed.pt", short) == ("soft.safetensors", "")
    assert taken("", short) == ("soft.safetensors", "")
    other = "0" * 10
    assert taken("soft", other) == (
        "soft.safetensors",
        f"It used another file of the VAE soft.safetensors ({other}).",
    )
    assert taken("animevae.pt", other) == (
        "",
        f"It used the VAE animevae.pt ({other}), which is not available.",
    )
    for nothing in ("", "None", "Automatic"):
        assert taken(nothing) == ("", "")


def test_a_text_of_the_web_ui_with_a_vae_that_is_not_here(root: Path) -> None:
    line = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
    parsed = parse_a1111(f"a cat\n{line}, VAE hash: 735e4c3a44, VAE: anime.vae.pt")
    assert parsed is not None
    assert "vae" not in parsed.values
    said = "It used the VAE anime.vae.pt (735e4c3a44), which is not available."
    assert said in parsed.notes


@pytest.mark.parametrize(
    ("name", "value"), [("soft.safetensors", "soft.safetensors"), ("taesd", "taesd"), ("x.pt", "")]
)
def test_the_loader_of_comfyui_is_read(root: Path, name: str, value: str) -> None:
    def node(kind: str, **inputs: object) -> dict[str, object]:
        return {"class_type": kind, "inputs": inputs}

    graph = {
        "loader": node("CheckpointLoaderSimple", ckpt_name="sd.safetensors"),
        "vae": node("VAELoader", vae_name=name),
        "yes": node("CLIPTextEncode", text="a cat", clip=["loader", 1]),
        "no": node("CLIPTextEncode", text="", clip=["loader", 1]),
        "empty": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "pass": node(
            "KSampler",
            seed=1,
            steps=4,
            cfg=3.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["loader", 0],
            positive=["yes", 0],
            negative=["no", 0],
            latent_image=["empty", 0],
        ),
        "shown": node("VAEDecode", samples=["pass", 0], vae=["vae", 0]),
    }
    read = Graph.read(graph)
    assert read is not None
    parsed = understand_graph(read)
    assert parsed is not None
    assert parsed.values.get("vae", "") == value
    assert any("x.pt" in note for note in parsed.notes) == (value == "")
