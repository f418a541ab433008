"""LoRAs that other tools name, each in the form in which the tool writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.diffusion.models.load import load_model
from core.output.texts.flat.loras import read_loras
from core.output.texts.infotext import read_png
from tests.core.diffusion.models.lora.test_adapters import save_lora
from tests.core.output.texts.files.containers_made import png, text_chunk

INK = [("ink", 0.75), ("wash", 1.0)]
FORMS: dict[str, dict[str, Any]] = {
    "SwarmUI": {"loras": ["ink", "wash"], "loraweights": ["0.75", "1"]},
    "SwarmUI, as texts": {"loras": "ink,wash", "loraweights": "0.75,1"},
    "Fooocus": {"loras": [["ink", 0.75, "a1b2"], ["wash", 1.0], ["None", 1.0]]},
    "Fooocus since 2.2": {"lora_combined_1": "ink : 0.75", "lora_combined_2": "wash : 1.0"},
    "RuinedFooocus": {"loras": [{"name": "ink", "weight": 0.75}, {"name": "wash", "weight": 1}]},
    "InvokeAI 3": {
        "loras": [
            {"lora": {"model_name": "ink", "base_model": "sd-1"}, "weight": 0.75},
            {"lora": {"model_name": "wash"}, "weight": 1.0},
        ]
    },
    "InvokeAI 4": {
        "loras": [
            {"model": {"key": "1", "name": "ink", "type": "lora"}, "weight": 0.75},
            {"model": {"name": "wash"}, "weight": 1.0},
        ]
    },
    "Draw Things": {"lora": [{"file": "ink", "weight": 0.75}, {"file": "wash", "weight": 1}]},
    "Easy Diffusion": {"use_lora_model": ["ink", "wash"], "lora_alpha": [0.75, 1]},
}


@pytest.mark.parametrize("form", FORMS)
def test_names_and_weights_in_every_form(form: str) -> None:
    assert read_loras(FORMS[form]) == INK


def test_one_alone_and_one_that_is_off() -> None:
    assert read_loras({"use_lora_model": "ink", "lora_alpha": 0.5}) == [("ink", 0.5)]
    assert read_loras({"loras": ["ink", "wash"], "loraweights": ["0", "1"]}) == [("wash", 1.0)]
    assert read_loras({"loras": ["ink"]}) == [("ink", 1.0)]


@pytest.mark.parametrize(
    "odd",
    [
        {"loras": None},
        {"loras": True},
        {"loras": [None, [], {}, [[]], {"model": {"model": {"model": {"model": "ink"}}}}]},
        {"lora_combined_1": "ink"},
        {"lora_combined_1": 5},
        {"loras": ["a" * 600]},
    ],
)
def test_what_names_none_gives_none(odd: dict[str, Any]) -> None:
    assert read_loras(odd) == []


def swarm(**more: Any) -> bytes:
    params = {"prompt": "a lake", "steps": 9, "cfgscale": 4, "seed": 1, "width": 64, "height": 64}
    return png(text_chunk("parameters", json.dumps({"sui_image_params": params | more}).encode()))


def test_those_that_are_here_are_used_and_the_others_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_lora(tmp_path, "ink", load_model("bundled", device="cpu"), 1)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    back = read_png(swarm(loras=["folder/ink.safetensors", "wash"], loraweights=["0.75", "0.5"]))
    assert back.settings is not None
    assert back.settings.loras == "ink:0.75"
    assert any("the LoRA wash (0.5), which is not available" in note for note in back.notes)
