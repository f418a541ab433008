"""Settings come back from our PNG exactly, and from other tools' pictures as far as they say."""

from __future__ import annotations

import io
import json
import string
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from core.diffusion.models.load import describe
from core.diffusion.recipe import images
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import INIT_FIELDS, MAX_SEED, GenerationSettings
from core.output.texts.a1111.parameters import parse_a1111
from core.output.texts.a1111.samplers import find_sampler
from core.output.texts.infotext import InfotextError, a1111_text, read_png, write_png

MODEL: Any = SimpleNamespace(name="tiny", fingerprint="0123456789abcdef" * 4)
COMPUTED = {"device": "cpu", "dtype": "float32", "rows": 2, "strict": False, "versions": {}}

unit = st.floats(0, 1)
any_settings = st.builds(
    GenerationSettings,
    model=st.text(min_size=1).filter(str.strip),
    prompt=st.text(st.characters(exclude_characters="\x00")),
    negative_prompt=st.text(st.characters(exclude_characters="\x00")),
    seed=st.integers(0, MAX_SEED),
    width=st.integers(1, 512).map(lambda n: 8 * n),
    height=st.integers(1, 512).map(lambda n: 8 * n),
    num_inference_steps=st.integers(1, 1000),
    guidance_scale=st.floats(0, 100),
    guidance_rescale=unit,
    scheduler=st.sampled_from(sorted(SCHEDULERS)),
    variation_seed=st.integers(0, MAX_SEED),
    variation_strength=unit,
    variation_method=st.sampled_from(["slerp", "add", "rotate"]),
    variation_chain=st.sampled_from(["", "slerp:7:0.2", "channel:9:0.5:3 region:1:1.0:0,0,8,8"]),
    prompt_2=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
    prompt_blend=unit,
    snapshot=st.integers(0, 1),
    init_image=st.just("") | st.just("5e" * 32),
    strength=st.just(1.0),
    match_noise=st.booleans(),
    posterior=st.sampled_from(["sample", "mean"]),
)


def picture(color: str = "teal") -> Image.Image:
    return Image.new("RGB", (16, 8), color)


def png_with(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@given(any_settings)
def test_our_png_rebuilds_the_settings_exactly(settings: GenerationSettings) -> None:
    back = read_png(write_png(picture(), settings, MODEL, COMPUTED))
    assert (back.settings, back.source) == (settings, "lightbox")
    assert all("model" in note.lower() for note in back.notes)  # "tiny" is no model of this machine
    assert set(back.fields) == {field.name for field in fields(GenerationSettings)}


def test_a_picture_of_other_weights_says_so() -> None:
    here = describe("bundled")
    settings = GenerationSettings()
    assert read_png(write_png(picture(), settings, here, COMPUTED)).notes == ()
    older = replace(here, fingerprint="0" * 64)
    (note,) = read_png(write_png(picture(), settings, older, COMPUTED)).notes
    assert "weights have changed" in note
    elsewhere = replace(settings, model="somewhere-else")
    (note,) = read_png(write_png(picture(), elsewhere, older, COMPUTED)).notes
    assert "is not here" in note


def test_a_lone_surrogate_survives_in_the_chunk() -> None:
    settings = GenerationSettings(prompt="a \ud800 b")
    assert read_png(write_png(picture(), settings, MODEL, COMPUTED)).settings == settings


def test_the_png_keeps_its_pixels_and_says_how_it_was_computed() -> None:
    data = write_png(picture("orchid"), GenerationSettings(), MODEL, COMPUTED)
    image: Any = Image.open(io.BytesIO(data))
    chunk = json.loads(image.text["lightbox"])
    assert image.convert("RGB").tobytes() == picture("orchid").tobytes()
    assert chunk["model"] == {"name": "tiny", "fingerprint": MODEL.fingerprint}
    assert chunk["computed"] == COMPUTED


def test_computed_may_be_a_dataclass() -> None:
    @dataclass
    class How:
        device: str = "cpu"

    data: Any = Image.open(io.BytesIO(write_png(picture(), GenerationSettings(), MODEL, How())))
    assert json.loads(data.text["lightbox"])["computed"] == {"device": "cpu"}


# The web UI's format loses what it strips: outer blanks, carriage returns.
plain_text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=80).map(
    str.strip
)


@given(any_settings, plain_text, plain_text)
def test_the_parameters_text_reads_back(
    settings: GenerationSettings, prompt: str, negative: str
) -> None:
    settings = replace(settings, prompt=prompt, negative_prompt=negative, guidance_scale=7.25)
    parsed = parse_a1111(a1111_text(settings, "tiny", "0123456789"))
    assert parsed is not None
    seen: set[str] = set()
    if settings.variation_strength:
        seen |= {"variation_seed", "variation_strength", "variation_method"}
    if settings.variation_chain:
        seen.add("variation_chain")
    if settings.prompt_blend:
        seen |= {"prompt_2", "prompt_blend"}
    for name, value in parsed.values.items():
        assert value == getattr(settings, name), name
    missing = {field.name for field in fields(settings)} - parsed.values.keys()
    expected = {"model", "variation_region", "variation_channel", "loras", "clip_skip"}
    expected |= {name for name, row in SETTINGS.items() if row.since != "0.1.0"}
    optional = {"variation_seed", "variation_strength", "variation_method", "variation_chain"}
    expected |= (optional | {"prompt_2", "prompt_blend"}) - seen
    expected |= {"mask_image"} if settings.init_image else set(INIT_FIELDS)
    if settings.init_image:
        expected.discard("masked_only")  # written where it is true alone
    if not settings.guidance_rescale:
        expected.add("guidance_rescale")
    if not settings.snapshot:
        expected.add("snapshot")
    assert missing == expected


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_reads_back_from_its_own_text(name: str) -> None:
    parsed = parse_a1111(a1111_text(GenerationSettings(scheduler=name), "m", "h"))
    assert parsed is not None
    assert parsed.values["scheduler"] == name


def test_the_text_is_the_web_uis() -> None:
    settings = GenerationSettings(
        prompt="a cat",
        negative_prompt="blurry, dog",
        seed=1,
        width=512,
        height=768,
        guidance_scale=7.0,
        scheduler="DPM++ 2M Karras",
        variation_seed=5,
        variation_strength=0.25,
    )
    assert a1111_text(settings, "v1-5, pruned", "cc6cb27103") == (
        "a cat\n"
        "Negative prompt: blurry, dog\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, "
        'Size: 512x768, Model hash: cc6cb27103, Model: "v1-5, pruned", Variation seed: 5, '
        "Variation seed strength: 0.25, Variation method: slerp, RNG: CPU, "
        "Version: Diffusion Lightbox 0.1.0"
    )


def test_the_web_ui_would_not_take_the_models_spacing_for_karras() -> None:
    assert "Sampler: DPM++ 2M, Schedule type: Uniform" in a1111_text(
        GenerationSettings(scheduler="DPM++ 2M"), "m", "h"
    )


WEB_UI = (
    "portrait of a fox, (red:1.2), <lora:ink:0.8>\nSteps: not these\n"
    "he said Negative prompt: no\n"
    "Negative prompt: ugly,\nblurry\n"
    "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 42, Size: 512x768, "
    'Model hash: cc6cb27103, Model: v1-5, Clip skip: 2, Lora hashes: "ink: 1a2b, x: 3c", '
    "Hires upscale: 2, Version: v1.6.0"
)


def test_a_real_web_ui_text() -> None:
    back = read_png(png_with(parameters=WEB_UI))
    assert back.source == "a1111"
    assert back.settings == GenerationSettings(
        prompt="portrait of a fox, (red:1.2), <lora:ink:0.8>\nSteps: not these\n"
        "he said Negative prompt: no",
        negative_prompt="ugly,\nblurry",
        seed=42,
        width=512,
        height=768,
        num_inference_steps=28,
        guidance_scale=7.5,
        scheduler="DPM++ 2M Karras",
        clip_skip=1,
    )
    said = " ".join(back.notes)
    for term in ("Hires upscale (2)", "Lora hashes", "v1-5", "LoRA"):
        assert term in said, term
    assert "GPU" in said


def test_lines_below_the_parameters_do_no_harm() -> None:
    parsed = parse_a1111("a cat\nSteps: 9, Sampler: Euler, Seed: 3\n\nWarning: too many tokens")
    assert parsed is not None
    assert parsed.values["prompt"] == "a cat"
    assert parsed.values["num_inference_steps"] == 9


def test_a_text_without_prompts() -> None:
    parsed = parse_a1111("Steps: 9, Sampler: Euler, CFG scale: 3, Seed: 3")
    assert parsed is not None
    assert (parsed.values["prompt"], parsed.values["negative_prompt"]) == ("", "")


@pytest.mark.parametrize(
    ("sampler", "schedule", "name"),
    [
        ("DPM++ 2M Karras", "", "DPM++ 2M Karras"),
        ("DPM++ 2M", "Karras", "DPM++ 2M Karras"),
        ("DPM++ 2M", "Automatic", "DPM++ 2M"),
        ("DPM++ 2M", "", "DPM++ 2M"),
        ("PLMS", "", "PNDM"),
        ("euler a", "Automatic", "Euler a"),
    ],
)
def test_known_samplers_are_taken_without_a_word(sampler: str, schedule: str, name: str) -> None:
    assert find_sampler(sampler, schedule) == ({"scheduler": name}, [])


@pytest.mark.parametrize(
    ("sampler", "schedule", "values"),
    [
        ("Euler", "Karras", {"scheduler": "Euler", "sigma_schedule": "karras"}),
        ("DPM++ 2M SDE", "Exponential", {"sigma_schedule": "exponential"}),
        ("UniPC", "Beta", {"scheduler": "UniPC", "sigma_schedule": "beta"}),
        ("DPM2 a Karras", "", {"scheduler": "DPM2 a", "sigma_schedule": "karras"}),
        ("Heun", "SGM Uniform", {"scheduler": "Heun", "timestep_spacing": "trailing"}),
    ],
)
def test_a_schedule_type_is_read_where_the_scheduler_takes_it(
    sampler: str, schedule: str, values: dict[str, str]
) -> None:
    found, notes = find_sampler(sampler, schedule)
    assert found == {"scheduler": sampler.removesuffix(" Karras")} | values
    assert not notes


def test_a_schedule_type_is_written_in_the_web_uis_words() -> None:
    for changes, words in (
        ({"scheduler": "Euler", "sigma_schedule": "karras"}, "Schedule type: Karras"),
        ({"scheduler": "DPM++ 2M", "sigma_schedule": "beta"}, "Schedule type: Beta"),
        ({"scheduler": "Euler", "timestep_spacing": "trailing"}, "Schedule type: SGM Uniform"),
        ({"scheduler": "DDIM", "eta": 0.5}, "Eta: 0.5"),
        ({"scheduler": "Euler", "s_churn": 5.0}, "Sigma churn: 5"),
        ({"scheduler": "DPM2 a", "eta": 0.5}, "Eta: 0.5"),
        ({"scheduler": "Heun", "s_churn": 5.0}, "Sigma churn: 5"),
        ({"noise_multiplier": 1.05}, "Noise multiplier: 1.05"),
    ):
        settings = replace(GenerationSettings(prompt="x"), **changes)  # type: ignore[arg-type]
        text = a1111_text(settings, "m", "h")
        assert words in text
        parsed = parse_a1111(text)
        assert parsed is not None
        assert GenerationSettings.from_dict(dict(parsed.values)).digest("m") == settings.digest("m")


def test_an_unknown_sampler_is_said_not_guessed() -> None:
    text = WEB_UI.replace("DPM++ 2M Karras", "Restart")
    back = read_png(png_with(parameters=text))
    assert back.settings is not None
    assert back.settings.scheduler == GenerationSettings().scheduler
    assert "scheduler" not in back.fields
    assert any("'Restart'" in note for note in back.notes)


def test_an_unknown_schedule_is_said() -> None:
    values, notes = find_sampler("Euler", "Polyexponential")
    assert values == {"scheduler": "Euler"}
    assert "'Polyexponential'" in notes[0]


def test_values_that_cannot_run_are_left_and_said() -> None:
    text = "x\nSteps: 5000, Sampler: Euler, CFG scale: nan, Seed: 99999999999, Size: 500x512"
    back = read_png(png_with(parameters=text))
    assert back.settings is not None
    assert back.settings.validate() == []
    said = " ".join(back.notes)
    for field in ("num_inference_steps", "guidance_scale", "seed", "width"):
        assert f"{field}:" in said, field
        assert field not in back.fields
    assert "height" not in back.fields, "one side alone would be another shape"


def test_a_number_that_is_none_is_said() -> None:
    parsed = parse_a1111("x\nSteps: many, Sampler: Euler, Seed: 3")
    assert parsed is not None
    assert "num_inference_steps" not in parsed.values
    assert any("'many'" in note for note in parsed.notes)


@pytest.mark.parametrize("chunk", ["{", "[]", "{}", '{"settings": 3}', "[" * 100_000, "null"])
def test_a_damaged_chunk_falls_back_to_the_parameters(chunk: str) -> None:
    back = read_png(png_with(lightbox=chunk, parameters=WEB_UI))
    assert back.source == "a1111"


def test_unknown_keys_in_the_chunk_are_said_and_the_rest_is_kept() -> None:
    chunk = {"version": 1, "settings": {"seed": 7, "sharpness": 3, "width": "wide"}}
    back = read_png(png_with(lightbox=json.dumps(chunk)))
    assert back.settings == GenerationSettings(seed=7)
    assert any("sharpness" in note for note in back.notes)
    assert any("width" in note for note in back.notes)


def comfy(sampler: str = "dpmpp_2m", schedule: str = "karras") -> bytes:
    prompt = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 77,
                "steps": 12,
                "cfg": 6.5,
                "sampler_name": sampler,
                "scheduler": schedule,
                "denoise": 1.0,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.ckpt"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 448}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lake", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "people", "clip": ["4", 1]}},
    }
    links = [
        [1, "4", 0, "3", 0, "MODEL"],
        [2, "6", 0, "3", 1, "CONDITIONING"],
        [3, "7", 0, "3", 2, "CONDITIONING"],
    ]
    return png_with(prompt=json.dumps(prompt), workflow=json.dumps({"links": links}))


def test_comfyui() -> None:
    back = read_png(comfy())
    assert back.source == "ComfyUI"
    assert back.settings == GenerationSettings(
        prompt="a lake",
        negative_prompt="people",
        seed=77,
        width=640,
        height=448,
        num_inference_steps=12,
        guidance_scale=6.5,
        scheduler="DPM++ 2M Karras",
    )
    assert any("dream.ckpt" in note for note in back.notes)


def test_an_unknown_sampler_of_another_tool_is_said() -> None:
    back = read_png(comfy("res_multistep", "simple"))
    assert back.settings is not None
    assert back.settings.scheduler == GenerationSettings().scheduler
    assert any("'res_multistep'" in note for note in back.notes)


def test_invokeai() -> None:
    meta = {
        "positive_prompt": "a barn",
        "negative_prompt": "",
        "scheduler": "dpmpp_2m_k",
        "seed": 5,
        "steps": 30,
        "cfg_scale": 7.0,
        "width": 512,
        "height": 640,
        "model": {"model_name": "sd15"},
    }
    back = read_png(png_with(invokeai_metadata=json.dumps(meta)))
    assert back.source == "InvokeAI"
    assert back.settings == GenerationSettings(
        prompt="a barn",
        seed=5,
        num_inference_steps=30,
        guidance_scale=7.0,
        width=512,
        height=640,
        scheduler="DPM++ 2M Karras",
    )


def test_fooocus_writes_json_where_the_web_ui_writes_text() -> None:
    meta = {
        "base_model": "jugger",
        "base_model_hash": "aa",
        "guidance_scale": 4.0,
        "scheduler": "karras",
        "seed": "12",
        "sharpness": 2.0,
        "steps": 30,
        "sampler": "dpmpp_2m",
        "prompt": "a tram, Steps: 3, Seed: 4, Sampler: 5",
        "negative_prompt": "",
        "resolution": "(1152, 896)",
    }
    back = read_png(png_with(parameters=json.dumps(meta)))
    assert back.source == "Fooocus"
    assert back.settings is not None
    assert (back.settings.seed, back.settings.width, back.settings.height) == (12, 1152, 896)
    assert back.settings.scheduler == "DPM++ 2M Karras"


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_web_uis_jpeg_and_webp(kind: str, order: str) -> None:
    exif = Image.Exif()
    comment = b"UNICODE\x00" + "ein Fuchs für 狐\nSteps: 9, Sampler: Euler, Seed: 3".encode(order)
    exif.get_ifd(0x8769)[0x9286] = comment
    buffer = io.BytesIO()
    picture().save(buffer, kind, exif=exif)
    back = read_png(buffer.getvalue())
    assert back.settings == GenerationSettings(
        prompt="ein Fuchs für 狐", num_inference_steps=9, scheduler="Euler", seed=3
    )


def test_a_text_behind_the_pixels_is_found() -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    body = buffer.getvalue()
    end = body.rindex(b"IEND") - 4
    chunk = io.BytesIO()
    PngImagePlugin.putchunk(chunk, b"tEXt", b"parameters\x00" + WEB_UI.encode("latin-1"))
    back = read_png(body[:end] + chunk.getvalue() + body[end:])
    assert back.source == "a1111"


def test_a_picture_without_settings_says_so() -> None:
    back = read_png(png_with())
    assert back.settings is None
    assert "no settings" in back.notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, I am text", "not a PNG"),
        (b"GIF89a" + bytes(40), "not a PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(3), "not a PNG|damaged"),
        (png_with()[:50], "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_in_plain_words(data: bytes, words: str) -> None:
    with pytest.raises(InfotextError, match=words):
        read_png(data)


def test_limits_hold_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfotextError, match="20 MB"):
        read_png(png_with() + bytes(images.MAX_BYTES))

    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", refuse)
    for side in (7_000, 60_000):
        buffer = io.BytesIO()
        PngImagePlugin.putchunk(
            buffer, b"IHDR", side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
        )
        PngImagePlugin.putchunk(buffer, b"IDAT", b"")
        with pytest.raises(InfotextError, match="40"):
            read_png(b"\x89PNG\r\n\x1a\n" + buffer.getvalue())


def test_a_text_that_unpacks_to_gigabytes_is_refused() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a" * 5_000_000, zip=True)
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", pnginfo=info)
    with pytest.raises(InfotextError, match="damaged"):
        read_png(buffer.getvalue())


@given(st.text(string.printable, max_size=300))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    for key in ("parameters", "lightbox", "prompt", "invokeai_metadata", "Comment", "Dream"):
        read_png(png_with(**{key: text, "workflow": text}))


def test_image_to_image_names_its_source_and_strength() -> None:
    settings = GenerationSettings(
        prompt="a cat",
        init_image="5e" * 32,
        strength=0.6,
        exact_steps=True,
        mask_image="ab" * 32,
    )
    text = a1111_text(settings, "m", "h")
    assert "Denoising strength: 0.6, Init image hash: 5e5e" in text
    parsed = parse_a1111(text)
    assert parsed is not None
    assert parsed.values["mask_image"] == "ab" * 32
    assert GenerationSettings.from_dict(dict(parsed.values)).digest("f") == settings.digest("f")


@pytest.mark.parametrize(("written", "skipped"), [(1, 0), (2, 1), (12, 11)])
def test_the_web_uis_clip_skip_counts_one_more(written: int, skipped: int) -> None:
    parsed = parse_a1111(f"a cat\nSteps: 20, Sampler: Euler, Seed: 1, Clip skip: {written}")
    assert parsed is not None
    assert parsed.values["clip_skip"] == skipped
    assert not any("Clip skip" in note for note in parsed.notes)
    text = a1111_text(GenerationSettings(clip_skip=skipped), "m", "h")
    assert (f"Clip skip: {written}" in text) == (skipped > 0)


def test_a_foreign_denoising_strength_is_said_and_not_used() -> None:
    text = "a cat\nSteps: 20, Sampler: Euler, Seed: 1, Denoising strength: 0.7, Hires upscale: 2"
    parsed = parse_a1111(text)
    assert parsed is not None
    assert not set(INIT_FIELDS) & set(parsed.values)
    assert any("denoising strength 0.7" in note for note in parsed.notes)
