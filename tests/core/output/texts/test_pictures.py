"""Pictures of other tools, rebuilt from public reports: each is read right, or says what is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.output.texts.infotext import ReadBack, read_png

PICTURES = Path(__file__).parent / "pictures"
NUMBERS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "seed": "seed",
    "scheduler": "scheduler",
    "prompt": "prompt",
    "negative": "negative_prompt",
    "sigmas": "sigma_schedule",
}


@dataclass(frozen=True, kw_only=True)
class Right:
    """What a picture says; None is a setting that it does not give, and so leaves as it was."""

    prompt: str | None
    negative: str | None = ""
    steps: int | None = 17
    scheduler: str | None = "Euler a"
    guidance: float | None = 6.5
    seed: int | None = 4105
    size: tuple[int, int] | None = (512, 640)
    sigmas: str | None = None
    said: tuple[str, ...] = ()


def lake(**others: Any) -> Right:
    """ComfyUI's graph of a lake, as most reports have it."""
    given: dict[str, Any] = {
        "prompt": "a lake",
        "negative": "people",
        "steps": 12,
        "scheduler": "DPM++ 2M Karras",
        "seed": 77,
        "size": (640, 448),
    }
    return Right(**(given | others))


FOX = Right(prompt="ein Fuchs, 狐, café", negative="nebel")
SNAIL = Right(
    prompt="spiky snail, (shell:0.85)",
    negative="low quality",
    steps=25,
    guidance=4.0,
    seed=581626,
    size=(1024, 768),
    said=("'Karras'",),
)
TRAM = Right(
    prompt="a tram at night",
    negative="blur",
    steps=30,
    scheduler="DPM++ 2M SDE",
    guidance=4.0,
    seed=292,
    size=(1152, 896),
    sigmas="karras",
)
TRAM_JSON = Right(
    prompt="a tram at night",
    negative="blur",
    steps=30,
    scheduler="DPM++ 2M SDE",
    guidance=4.0,
    seed=None,
    size=(1152, 896),
    sigmas="karras",
    said=("2929592151863110", "styles"),
)

RIGHT: dict[str, Right] = {
    "easydiffusion_png.png": Right(
        prompt="a barn owl",
        negative="cage",
        steps=25,
        guidance=7.5,
        seed=3567280195,
        size=(512, 512),
    ),
    "nai_webp_usercomment_json.webp": Right(
        prompt="1girl, (harbour:1.1025), (boat:0.9524)",
        negative="blurry, 雨",
        steps=23,
        guidance=5.0,
        seed=8806737,
        said=("NovelAI's weights", "'Karras'"),
    ),
    "r01a_dot_delimited.png": Right(
        prompt="a lighthouse in fog, oil paint", negative="low quality, frame"
    ),
    "r01b_only_dot_steps.png": Right(prompt="marble staircase (black:2.0), (grain)"),
    "r01c_space_delimited.png": Right(prompt="a lighthouse in fog", negative="frame"),
    "r01d_civitai_onsite_no_newlines.png": Right(
        prompt="a lighthouse in fog",
        negative="frame",
        steps=35,
        guidance=7.5,
        seed=12,
        size=(1024, 1024),
        said=("Created Date",),
    ),
    "r02a_civitai_metadata_keys_in_prompt.png": Right(
        prompt="a diagram, Steps: 3 easy ones, Seed: 9 beans, Size: 64x64, Sampler: DDIM tray",
        negative="text",
        said=("Civitai resources", "Civitai metadata"),
    ),
    "r03a_multiline_value.png": Right(
        prompt="a pond\n\nwith frogs",
        negative="mist",
        said=("Wildcard prompt", "Hires upscale (2)"),
    ),
    "r04c_sdnext_pipes.png": Right(
        prompt="a red fox",
        negative="mist",
        steps=16,
        scheduler="DPM++ 2M Karras",
        guidance=6.0,
        seed=1362,
        size=(768, 512),
        said=("Parser",),
    ),
    "r04h_only_prompts.png": Right(
        prompt="a barn owl",
        negative="cage, wire",
        steps=None,
        scheduler=None,
        guidance=None,
        seed=None,
        size=None,
    ),
    "r04i_two_keys_only.png": Right(
        prompt="a barn owl",
        negative="cage",
        steps=20,
        scheduler="Euler",
        guidance=None,
        seed=None,
        size=None,
    ),
    "r04k_stability_js_lone_cr.png": Right(prompt="a barn\nowl", negative="cage"),
    "r04m_float_ints.png": Right(prompt="a barn", steps=20, guidance=7.0, seed=55, size=(512, 512)),
    "r04o_lower_keys_horde.png": Right(
        prompt="a barn",
        negative="x",
        steps=50,
        scheduler="DPM++ 2M",
        guidance=5.0,
        seed=28305,
        size=(768, 512),
        said=("stable_diffusion",),
    ),
    "r04p_comfy_names.png": Right(
        prompt="a barn",
        negative="x",
        steps=50,
        scheduler="DPM++ 2M Karras",
        guidance=5.0,
        seed=28305,
        size=(768, 512),
    ),
    "r04r_size_not_8.png": Right(
        prompt="a barn", steps=20, guidance=7.0, seed=5, size=None, said=("1500", "size")
    ),
    "r05a_JPEG_utf-16-be_bom.jpg": FOX,
    "r05a_JPEG_utf-16-le_bom.jpg": FOX,
    "r05b_no_charset_raw_utf8.jpg": FOX,
    "r05d_Unicode_mixed_case.jpg": FOX,
    "r05e_UNICODE_but_utf8.jpg": FOX,
    "r06a_fooocus_json_JPEG.jpg": TRAM_JSON,
    "r06a_fooocus_json_WEBP.webp": TRAM_JSON,
    "r06b_fooocus_a1111_JPEG.jpg": TRAM,
    "r06b_fooocus_a1111_WEBP.webp": TRAM,
    "r06f_image_description.jpg": Right(prompt="a tram", negative="blur"),
    "r07a_swarm_png.png": SNAIL,
    "r07b_swarm_jpg.jpg": SNAIL,
    "r08a_api_prompt_only.png": lake(),
    "r09a_primitive_string.png": lake(prompt="an eel in a dune"),
    "r10a_zero_out.png": lake(negative="", guidance=1.0),
    "r11_sampler_custom_advanced.png": lake(
        prompt="a white horse",
        negative="human",
        steps=24,
        scheduler="Euler",
        guidance=5.0,
        seed=4242,
    ),
    "r12a_webp_make_model.webp": lake(),
    "r14b_after_idat_beside_software_before.png": Right(prompt="a heron", negative="mud"),
    "r15a_utf8_in_tEXt.png": Right(prompt="初音ミク, café, テスト", negative="雨"),
    "r16a_drawthings_png.png": Right(
        prompt="a guitar on a lake",
        negative="ocean, sad",
        steps=10,
        scheduler="DDIM",
        guidance=7.0,
        seed=117773,
        size=(1152, 768),
    ),
    "r33a_second_pass_listed_first.png": lake(seed=2, steps=25, said=("2 passes",)),
    "r33b_upscale_node_listed_first.png": lake(said=("enlargement",)),
    "r33c_img2img_denoise.png": lake(size=None, said=("0.55", "another picture")),
    "r34b_lora_loader.png": lake(said=("LoRA ink (0.8)",)),
    "r34c_seed_64bit.png": lake(seed=None, said=("1102676403634909",)),
    "r34d_links_as_objects.png": lake(seed=None, said=("1102676403634909",)),
    "r34e_sdxl_encode.png": lake(prompt="a lake from above, calm", said=("text encoders",)),
    "r34f_flux_guidance_no_links_for_subgraph.png": lake(),
}


def given(back: ReadBack, field: str) -> Any:
    return getattr(back.settings, field) if field in back.fields else None


def test_every_picture_has_its_row() -> None:
    assert {path.name for path in PICTURES.iterdir()} == set(RIGHT)


@pytest.mark.parametrize("name", RIGHT)
def test_a_rebuilt_picture_is_read_right(name: str) -> None:
    right = RIGHT[name]
    back = read_png((PICTURES / name).read_bytes())
    assert back.settings is not None, back.notes
    for label, field in NUMBERS.items():
        assert given(back, field) == getattr(right, label), label
    width, height = given(back, "width"), given(back, "height")
    assert (width, height) == (right.size or (None, None))
    said = " ".join(back.notes)
    for words in right.said:
        assert words in said, words
