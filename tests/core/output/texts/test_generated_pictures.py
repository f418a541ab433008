"""Every tool's text in every place and encoding where pictures carry texts."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from core.output.texts.infotext import read_png
from tests.core.output.texts.files.containers_made import (
    CONTAINERS,
    exif_of,
    png,
    text_chunk,
    truncated_exif,
    with_exif,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of broken Exif data
PROMPT, NEGATIVE = "ein Fuchs, 狐, café", "nebel, größer"
GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 4105,
            "steps": 17,
            "cfg": 6.5,
            "sampler_name": "euler_ancestral",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "meadow.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 640}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT, "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": NEGATIVE, "clip": ["4", 1]}},
}
CORE = {"seed": 4105, "steps": 17, "width": 512, "height": 640}
SIMPLE = {"prompt": PROMPT, "negative_prompt": NEGATIVE}
NOVELAI = CORE | {"prompt": PROMPT, "uc": NEGATIVE, "scale": 6.5, "sampler": "k_euler_ancestral"}

TOOLS: dict[str, Any] = {
    "AUTOMATIC1111": f"{PROMPT}\nNegative prompt: {NEGATIVE}\nSteps: 17, Sampler: Euler a, "
    "CFG scale: 6.5, Seed: 4105, Size: 512x640, Model: meadow, Version: v1.10.1",
    "SD.Next": f"{PROMPT}\nNegative prompt: {NEGATIVE}\nSteps: 17 | Sampler: Euler a | "
    "CFG scale: 6.5 | Seed: 4105 | Size: 512x640 | App: SD.Next",
    "one line": f"{PROMPT}.Negative prompt: {NEGATIVE}.Steps: 17, Sampler: Euler a, "
    "CFG scale: 6.5, Seed: 4105, Size: 512x640",
    "carriage returns": f"{PROMPT}\rNegative prompt: {NEGATIVE}\rSteps: 17, Sampler: Euler a, "
    "CFG scale: 6.5, Seed: 4105, Size: 512x640",
    "SwarmUI": {
        "sui_image_params": CORE
        | {"prompt": PROMPT, "negativeprompt": NEGATIVE, "cfgscale": 6.5}
        | {"sampler": "euler_ancestral", "scheduler": "normal", "model": "meadow"}
    },
    "Fooocus": SIMPLE
    | {"seed": "4105", "steps": 17, "guidance_scale": 6.5, "resolution": "(512, 640)"}
    | {"base_model": "meadow", "sampler": "euler_ancestral", "scheduler": "normal"},
    "Fooocus, earlier": {"Prompt": PROMPT, "Negative Prompt": NEGATIVE, "Seed": 4105, "Steps": 17}
    | {"Guidance Scale": 6.5, "Resolution": "(512, 640)", "Base Model": "meadow"}
    | {"Sampler": "euler_ancestral"},
    "RuinedFooocus": CORE
    | {"Prompt": PROMPT, "Negative": NEGATIVE, "cfg": 6.5, "sampler_name": "euler_ancestral"}
    | {"base_model_name": "meadow", "software": "RuinedFooocus"},
    "NovelAI": {"Comment": json.dumps(NOVELAI), "Source": "NovelAI", "Software": "NovelAI"},
    "Easy Diffusion": SIMPLE
    | {"seed": 4105, "num_inference_steps": 17, "guidance_scale": 6.5, "width": 512}
    | {"height": 640, "sampler_name": "euler_a", "use_stable_diffusion_model": "meadow"},
    "Draw Things": {"c": PROMPT, "uc": NEGATIVE, "scale": 6.5, "seed": 4105, "steps": 17}
    | {"size": "512x640", "sampler": "Euler A", "model": "meadow", "strength": 1},
    "Stability Matrix": {
        "parameters-json": "not looked at",
        "PositivePrompt": PROMPT,
        "NegativePrompt": NEGATIVE,
        "Seed": 4105,
        "Steps": 17,
        "CfgScale": 6.5,
        "Width": 512,
        "Height": 640,
        "Sampler": "Euler a",
        "ModelName": "meadow",
    },
    "Tensor.Art": CORE
    | {"prompt": PROMPT, "negativePrompt": NEGATIVE, "cfgScale": 6.5, "samplerName": "Euler a"}
    | {"baseModel": {"modelFileName": "meadow"}},
    "Civitai": {
        "resource-stack": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
        "extraMetadata": json.dumps(
            CORE
            | {"prompt": PROMPT, "negativePrompt": NEGATIVE, "cfgScale": 6.5, "sampler": "Euler a"}
        ),
    },
    "InvokeAI": CORE
    | {"positive_prompt": PROMPT, "negative_prompt": NEGATIVE, "cfg_scale": 6.5}
    | {"scheduler": "euler_a", "model": {"name": "meadow", "hash": "blake3:12"}},
    "Hugging Face Space": SIMPLE
    | {"resolution": "512 x 640", "guidance_scale": 6.5, "num_inference_steps": 17, "seed": 4105}
    | {"sampler": "Euler a", "Model": "meadow"},
    "ComfyUI": GRAPH,
    "ComfyUI, in a bag": {"prompt": GRAPH, "workflow": {"links": []}},
    "ComfyUI, as texts in a bag": {"prompt": json.dumps(GRAPH), "workflow": "{}"},
}


@pytest.mark.parametrize("place", CONTAINERS)
@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_in_every_container(tool: str, place: str) -> None:
    given = TOOLS[tool]
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    back = read_png(CONTAINERS[place](text))
    assert back.settings is not None, back.notes
    assert (back.settings.prompt, back.settings.negative_prompt) == (PROMPT, NEGATIVE)
    assert back.settings.num_inference_steps == 17
    assert back.settings.guidance_scale == 6.5
    assert back.settings.seed == 4105
    assert (back.settings.width, back.settings.height) == (512, 640)
    assert back.settings.scheduler == "Euler a"


@pytest.mark.parametrize(
    ("prompt", "workflow"),
    [(271, 272), (272, 271), (270, 271)],
    ids=["Make", "Model", "ImageDescription"],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_comfyuis_graph_in_a_cameras_fields(kind: str, prompt: int, workflow: int) -> None:
    graph = json.dumps(GRAPH, ensure_ascii=False)
    data = with_exif(kind, {prompt: f"Prompt:{graph}".encode(), workflow: 'Workflow: {"links":[]}'})
    back = read_png(data)
    assert back.source == "ComfyUI"
    assert back.settings is not None
    assert back.settings.prompt == PROMPT


def test_a_raw_profile_of_imagemagick() -> None:
    comment = b"ASCII\x00\x00\x00" + str(TOOLS["AUTOMATIC1111"]).encode()
    exif = exif_of({ExifTags.Base.UserComment: comment}, inner=True)
    lines = "\n".join(exif.hex()[at : at + 72] for at in range(0, 2 * len(exif), 72))
    profile = f"\nexif\n{len(exif):8d}\n{lines}\n".encode()
    back = read_png(png(text_chunk("Raw profile type exif", profile)))
    assert back.settings is not None
    assert back.settings.prompt == PROMPT


@pytest.mark.parametrize("channels", ["A", "RGB"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_text_hidden_in_the_pixels(channels: str, packed: bool) -> None:
    novelai = json.dumps({"Comment": json.dumps(NOVELAI), "Software": "NovelAI"})
    assert_hidden(novelai, channels, packed, "NovelAI")
    assert_hidden(str(TOOLS["AUTOMATIC1111"]), channels, packed, "a1111")


def assert_hidden(text: str, channels: str, packed: bool, source: str) -> None:
    payload = gzip.compress(text.encode()) if packed else text.encode()
    kind = "stealth_" + ("png" if channels == "A" else "rgb") + ("comp" if packed else "info")
    whole = kind.encode() + (8 * len(payload)).to_bytes(4, "big") + payload
    bits = np.unpackbits(np.frombuffer(whole, np.uint8))
    width, height = 96, 88
    plane = np.random.default_rng(3).integers(100, 255, (width, height, len(channels)), np.uint8)
    flat = plane.reshape(-1)  # down the columns, as the bits go
    flat[: len(bits)] = (flat[: len(bits)] & 0xFE) | bits
    pixels = np.full((height, width, 4), 200, np.uint8)
    pixels[..., 3 if channels == "A" else slice(0, 3)] = plane.transpose(1, 0, 2).squeeze()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    back = read_png(buffer.getvalue())
    assert back.source == source
    assert back.settings is not None
    assert (back.settings.prompt, back.settings.seed) == (PROMPT, 4105)


def test_a_poor_text_never_beats_a_whole_graph() -> None:
    poor = "unknown\nNegative prompt: unknown\nSteps: unknown, Sampler: unknown, Seed: unknown"
    data = png(
        text_chunk("parameters", poor.encode()), text_chunk("prompt", json.dumps(GRAPH).encode())
    )
    back = read_png(data)
    assert back.source == "ComfyUI"
    assert back.settings is not None
    assert (back.settings.prompt, back.settings.seed) == (PROMPT, 4105)


def test_stability_matrix_beside_its_graph_and_its_text() -> None:
    given = dict(TOOLS["Stability Matrix"])
    back = read_png(
        png(
            text_chunk("parameters", str(TOOLS["AUTOMATIC1111"]).encode()),
            text_chunk("parameters-json", json.dumps(given).encode()),
            text_chunk("prompt", json.dumps(GRAPH).encode()),
            text_chunk("smproj", b"{}"),
        )
    )
    assert back.source == "Stability Matrix"
    assert back.settings is not None
    assert back.settings.prompt == PROMPT


OLD_INVOKEAI = {
    "Dream": f'"{PROMPT} [{NEGATIVE}]" -s 17 -S 4105 -W 512 -H 640 -C 6.5 -A k_euler_a',
    "sd-metadata": json.dumps(
        {
            "model_weights": "meadow",
            "image": CORE
            | {"prompt": f"{PROMPT} [{NEGATIVE}]", "cfg_scale": 6.5, "sampler": "k_euler_a"},
        }
    ),
}


@pytest.mark.parametrize("key", OLD_INVOKEAI)
def test_invokeai_before_its_third_version(key: str) -> None:
    back = read_png(png(text_chunk(key, OLD_INVOKEAI[key].encode())))
    assert back.source == "InvokeAI"
    assert back.settings is not None
    assert (back.settings.prompt, back.settings.negative_prompt) == (PROMPT, NEGATIVE)
    assert (back.settings.seed, back.settings.scheduler) == (4105, "Euler a")
    assert (back.settings.width, back.settings.height) == (512, 640)


def test_novelais_first_pictures_hold_the_prompt_beside_the_settings() -> None:
    early = {"steps": 28, "sampler": "k_euler_ancestral", "seed": 4105, "strength": 0.69}
    early |= {"noise": 0.2, "scale": 12.0, "uc": NEGATIVE}
    chunks = {"Title": "AI generated image", "Description": "a {fox}", "Software": "NovelAI"}
    chunks |= {"Source": "Stable Diffusion 81274D13", "Comment": json.dumps(early)}
    back = read_png(png(*(text_chunk(key, text.encode()) for key, text in chunks.items())))
    assert back.source == "NovelAI"
    assert back.settings is not None
    assert (back.settings.prompt, back.settings.negative_prompt) == ("a (fox:1.05)", NEGATIVE)
    assert back.settings.guidance_scale == 12.0
    assert "width" not in back.fields
    said = " ".join(back.notes)
    assert "81274D13" in said
    assert "another picture (strength" not in said


def test_an_unknown_text_is_said_and_shown() -> None:
    back = read_png(png(text_chunk("Description", b"a fox in the snow")))
    assert back.settings is None
    assert "contains text" in back.notes[0]
    assert "Description" in back.notes[0]
    assert back.texts == (("PNG text: Description", "a fox in the snow"),)


def test_a_text_before_broken_pixels_is_shown() -> None:
    whole = png(text_chunk("Description", b"a fox in the snow"))
    back = read_png(whole[: whole.index(b"IDAT") + 8])
    assert back.texts == (("PNG text: Description", "a fox in the snow"),)


def test_a_graph_without_a_sampler_is_shown() -> None:
    back = read_png(png(text_chunk("workflow", b'{"nodes": [], "links": []}')))
    assert back.settings is None
    assert back.texts == (("PNG text: workflow", '{"nodes": [], "links": []}'),)


def test_a_camera_says_nothing() -> None:
    back = read_png(with_exif("JPEG", {271: "Kamera", 272: "Modell 1", 305: "Firmware 2"}))
    assert back.settings is None
    assert back.texts == ()
    assert "no settings" in back.notes[0]


def test_a_text_too_long_to_be_read_is_shown_in_part() -> None:
    text = b"a" * 5_000_000 + b"\nNegative prompt: x\nSteps: 9, Sampler: Euler, Seed: 3"
    back = read_png(png(text_chunk("parameters", text)))
    assert back.settings is None
    ((_, shown),) = back.texts
    assert shown == "a" * 2_000


def test_exif_that_points_past_its_end_is_no_error() -> None:
    assert read_png(truncated_exif()).settings is None


def test_an_xmp_packet_with_entities_is_not_unpacked() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x><description>&a;</description></x>'
    back = read_png(png(text_chunk("XML:com.adobe.xmp", bomb)))
    assert back.settings is None
    assert back.texts == ()
