"""Tools whose text is one JSON object of settings (or one text a setting): FLAT_TOOLS.

The keys are those that the tools write in their own pictures: SwarmUI's `T2IParamInput`,
Fooocus' `modules/meta_parser.py`, NovelAI's Comment, Easy Diffusion's `save_utils.py`, Draw
Things' XMP, Stability Matrix' `GenerationParameters`, InvokeAI's `core_metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_STRENGTHS = ("strength", "denoise", "denoising_strength", "prompt_strength", "initimagecreativity")


@dataclass(frozen=True, kw_only=True)
class FlatTool:
    """A tool's keys. `marks` must all be there; each other entry lists keys, the first of which
    that is there is taken. "a/b" is b inside of a. `inside` names the object that holds them,
    `prompt_beside` a text beside it that holds the prompt where the object has none.
    """

    name: str
    marks: tuple[str, ...]
    inside: str = ""
    prompt: tuple[str, ...] = ("prompt",)
    negative: tuple[str, ...] = ("negative_prompt",)
    seed: tuple[str, ...] = ("seed",)
    steps: tuple[str, ...] = ("steps",)
    guidance: tuple[str, ...] = ("cfg_scale", "guidance_scale")
    width: tuple[str, ...] = ("width",)
    height: tuple[str, ...] = ("height",)
    size: tuple[str, ...] = ()
    sampler: tuple[str, ...] = ("sampler",)
    schedule: tuple[str, ...] = ("scheduler",)
    model: tuple[str, ...] = ("model",)
    notation: str = "web ui"
    strengths: tuple[str, ...] = _STRENGTHS
    prompt_beside: str = ""
    uses: Mapping[str, str] = field(default_factory=dict[str, str])
    """Keys that name something which has no effect here, and what it is called."""


FLAT_TOOLS: tuple[FlatTool, ...] = (
    FlatTool(
        name="SwarmUI",
        marks=("sui_image_params",),
        inside="sui_image_params",
        negative=("negativeprompt", "negative_prompt"),
        guidance=("cfgscale",),
        notation="ComfyUI",
        uses={
            "initimage": "its source picture",
            "refinermethod": "its refiner",
            "refinerupscale": "its enlargement",
            "controlnetmodel": "ControlNet",
        },
    ),
    FlatTool(
        name="Stability Matrix",
        marks=("PositivePrompt", "CfgScale"),
        prompt=("PositivePrompt",),
        negative=("NegativePrompt",),
        seed=("Seed",),
        steps=("Steps",),
        guidance=("CfgScale",),
        width=("Width",),
        height=("Height",),
        sampler=("Sampler",),
        schedule=("Scheduler",),
        model=("ModelName",),
        notation="ComfyUI",
    ),
    FlatTool(
        name="RuinedFooocus",
        marks=("Prompt", "base_model_name"),
        prompt=("Prompt",),
        negative=("Negative",),
        guidance=("cfg",),
        sampler=("sampler_name",),
        model=("base_model_name",),
        notation="ComfyUI",
    ),
    FlatTool(
        name="Fooocus",
        marks=("base_model", "prompt"),
        size=("resolution",),
        model=("base_model",),
        notation="ComfyUI",
        uses={
            "styles": "its styles, which add words",
            "sharpness": "its sharpness",
            "adm_guidance": "its ADM guidance",
        },
    ),
    FlatTool(
        name="Fooocus",
        marks=("Prompt", "Base Model"),
        prompt=("Prompt",),
        negative=("Negative Prompt",),
        seed=("Seed",),
        steps=("Steps",),
        guidance=("Guidance Scale",),
        size=("Resolution",),
        sampler=("Sampler",),
        schedule=("Scheduler",),
        model=("Base Model",),
        notation="ComfyUI",
        uses={"Styles": "its styles, which add words", "Sharpness": "its sharpness"},
    ),
    FlatTool(
        name="Easy Diffusion",
        marks=("use_stable_diffusion_model", "prompt"),
        steps=("num_inference_steps",),
        guidance=("guidance_scale",),
        sampler=("sampler_name",),
        schedule=("scheduler_name",),
        model=("use_stable_diffusion_model",),
        uses={
            "use_controlnet_model": "ControlNet",
            "init_image": "its source picture",
            "use_upscale": "its enlargement",
            "clip_skip": "its clip skip",
        },
    ),
    FlatTool(
        name="Easy Diffusion",
        marks=("Stable Diffusion model", "Prompt"),
        prompt=("Prompt",),
        negative=("Negative Prompt",),
        seed=("Seed",),
        steps=("Steps",),
        guidance=("Guidance Scale",),
        width=("Width",),
        height=("Height",),
        sampler=("Sampler",),
        model=("Stable Diffusion model",),
    ),
    FlatTool(
        name="Draw Things",
        marks=("c", "uc", "scale"),
        prompt=("c",),
        negative=("uc",),
        guidance=("scale",),
        size=("size",),
        uses={"control": "ControlNet"},
    ),
    FlatTool(
        name="NovelAI",
        marks=("uc", "scale"),
        prompt_beside="Description",
        negative=("uc",),
        guidance=("scale",),
        schedule=("noise_schedule",),
        model=("Source",),
        notation="NovelAI",
        strengths=(),  # its first versions wrote one for every picture
        uses={
            "v4_prompt/caption/char_captions": "its prompts for single characters",
            "sm": "SMEA",
            "dynamic_thresholding": "its dynamic thresholding",
            "reference_strength": "its reference picture",
        },
    ),
    FlatTool(
        name="Tensor.Art",
        marks=("prompt", "samplerName"),
        negative=("negativePrompt",),
        guidance=("cfgScale",),
        sampler=("ksamplerName", "samplerName"),
        schedule=("schedule",),
        model=("baseModel/modelFileName", "baseModel/label"),
    ),
    FlatTool(
        name="Civitai",
        marks=("prompt", "cfgScale", "sampler"),
        negative=("negativePrompt",),
        guidance=("cfgScale",),
        uses={"resources": "the resources that it lists", "clipSkip": "its clip skip"},
    ),
    FlatTool(
        name="InvokeAI",
        marks=("positive_prompt", "scheduler"),
        prompt=("positive_prompt",),
        sampler=("scheduler",),
        schedule=(),
        model=("model/model_name", "model/name"),
        notation="InvokeAI",
        uses={
            "positive_style_prompt": "its second prompt, for SDXL's style",
            "controlnets": "ControlNet",
            "init_image": "its source picture",
            "clip_skip": "its clip skip",
        },
    ),
    FlatTool(
        name="Hugging Face Space",
        marks=("prompt", "num_inference_steps", "resolution"),
        steps=("num_inference_steps",),
        guidance=("guidance_scale",),
        size=("resolution",),
        model=("Model",),
        uses={"use_upscaler": "its enlargement", "style_preset": "its style, which adds words"},
    ),
)
