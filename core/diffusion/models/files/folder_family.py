"""The family of a folder in diffusers layout, by its configurations; and what is refused, by name.

Reading the tables imports neither torch nor diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from core.diffusion.models.families import FAMILIES, Configs, Family, unsupported

PIPELINES: Mapping[str, Literal["SD", "SDXL"]] = {
    "StableDiffusionPipeline": "SD",
    "StableDiffusionImg2ImgPipeline": "SD",
    "StableDiffusionInpaintPipeline": "SD",
    "StableDiffusionPipelineSafe": "SD",
    "StableDiffusionControlNetPipeline": "SD",
    "StableDiffusionControlNetImg2ImgPipeline": "SD",
    "StableDiffusionControlNetInpaintPipeline": "SD",
    "LatentConsistencyModelPipeline": "SD",
    "LatentConsistencyModelImg2ImgPipeline": "SD",
    "StableDiffusionXLPipeline": "SDXL",
    "StableDiffusionXLImg2ImgPipeline": "SDXL",
    "StableDiffusionXLInpaintPipeline": "SDXL",
    "StableDiffusionXLControlNetPipeline": "SDXL",
    "StableDiffusionXLControlNetImg2ImgPipeline": "SDXL",
    "StableDiffusionXLControlNetInpaintPipeline": "SDXL",
}
"""The pipelines that a model_index.json may name: the same parts in another order of calls. What
they hold besides (a ControlNet, a safety checker) is not read.
"""

OTHERS: Mapping[str, str] = {
    "StableDiffusion3": "Stable Diffusion 3",
    "StableDiffusionInstructPix2Pix": "InstructPix2Pix",
    "StableDiffusionDepth2Img": "a depth model",
    "StableDiffusionUpscale": "an upscaler",
    "StableDiffusionLatentUpscale": "an upscaler",
    "StableUnCLIP": "Stable unCLIP",
    "StableCascade": "Stable Cascade",
    "Wuerstchen": "Würstchen",
    "Flux2": "FLUX.2",
    "Flux": "FLUX.1",
    "Kandinsky": "Kandinsky",
    "PixArt": "PixArt",
    "Sana": "Sana",
    "HunyuanDiT": "Hunyuan-DiT",
    "HunyuanVideo": "HunyuanVideo",
    "Lumina": "Lumina",
    "AuraFlow": "AuraFlow",
    "CogView": "CogView",
    "CogVideoX": "CogVideoX",
    "Chroma": "Chroma",
    "QwenImage": "Qwen-Image",
    "ZImage": "Z-Image",
    "Wan": "Wan",
    "LTX": "LTX-Video",
    "Kolors": "Kolors",
    "If": "DeepFloyd IF",
}
"""What the beginning of another pipeline's class name stands for."""

PART_CLASSES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "SD": {
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    },
    "SDXL": {
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "text_encoder_2": ("CLIPTextModelWithProjection",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "tokenizer_2": ("CLIPTokenizer", "CLIPTokenizerFast"),
    },
}
"""The classes that each base's parts may have in a model_index.json: others are refused by name."""

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
_OTHER_SCHEDULERS: tuple[tuple[str, str], ...] = (
    ("FlowMatch", "trained by flow matching"),
    ("EDM", "trained in EDM's preconditioning (Playground 2.5, CosXL)"),
)


def family_of(name: str, configs: Configs) -> Family:
    """The family of the model that is called `name`. Raises ModelError with what it is else."""
    pipeline = str(configs.index.get("_class_name", "nothing that names its pipeline"))
    base = PIPELINES.get(pipeline)
    if base is None:
        known = (words for start, words in OTHERS.items() if pipeline.startswith(start))
        raise unsupported(name, f"{next(known, 'unknown here')} ({pipeline})")
    if (channels := configs.unet.get("in_channels", 4)) != 4:
        raise unsupported(
            name, f"an inpainting or depth model (its UNet takes {channels} channels)"
        )
    if base == "SDXL" and (configs.index.get("text_encoder") or [""])[0] is None:
        raise unsupported(name, "the SDXL refiner, which finishes pictures of the base model")
    if configs.unet.get("encoder_hid_dim_type"):
        raise unsupported(name, "a UNet with an encoder of its own between it and the prompt")
    refuse_other_training(name, configs)
    refuse_other_classes(name, base, configs)
    return next(
        family for family in FAMILIES.values() if family.base == base and family.is_kind(configs)
    )


def refuse_other_training(name: str, configs: Configs) -> None:
    """Raise ModelError for a scheduler configuration that says of another training than the rows'.

    Every scheduler here would run such a model, and give a wrong picture.
    """
    scheduler = configs.scheduler
    called = str(scheduler.get("_class_name") or "")
    for start, what in _OTHER_SCHEDULERS:
        if called.startswith(start):
            raise unsupported(name, f"{what} ({called})")
    if scheduler.get("use_flow_sigmas"):
        raise unsupported(name, "trained by flow matching (use_flow_sigmas)")
    kind = str(scheduler.get("prediction_type") or "epsilon")
    if kind not in PREDICTION_TYPES:
        raise unsupported(name, f"trained to predict {kind!r} (prediction_type)")


def refuse_other_classes(name: str, base: str, configs: Configs) -> None:
    """Raise ModelError, by name, for a part of another class than the base's pipelines have."""
    for part, known in PART_CLASSES[base].items():
        entry: Any = configs.index.get(part)
        called = str(entry[-1]) if isinstance(entry, list) and entry else ""
        if called and called != "None" and called not in known:
            raise unsupported(name, f"a model whose {part} is of the class {called}")
