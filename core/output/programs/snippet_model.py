"""What differs between the families of models in the program that makes the same picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.diffusion.models.families import FAMILIES, Family
from core.diffusion.models.files.weights import read_json, weights_of
from core.diffusion.models.hub_cache import split_id
from core.diffusion.models.load import BUNDLED, BUNDLED_FOLDER, ModelInfo
from core.diffusion.settings import GenerationSettings
from core.output.programs.excerpts import ROOT
from core.output.programs.quoted import quoted

_PLACE = """\
# The {what}: write here where it is on your computer.
model = {where!r}
"""

_BUNDLED_PLACE = """\
# The small model that comes with Diffusion Lightbox: write here where the app's folder is.
model = {where!r}
"""

_FOLDER = """\
{place}pipe = {pipeline}.from_pretrained(
    {source},
    {options}dtype=torch.float16 if device == "cuda" else torch.float32,
    use_safetensors=True,
    {without},
).to(device)
"""

_FILE = """\
# The weights are the file's; the configurations and the tokenizer are those of the published model.
{place}pipe = {pipeline}.from_single_file(
    model,
    config={config},
    dtype=torch.float16 if device == "cuda" else torch.float32,
    {without},
).to(device)
"""

PUBLISHED: Mapping[str, str] = {
    "SD 1.x": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "SD 2.x": "stabilityai/stable-diffusion-2-1-base",
    "SD 2.x (v-prediction)": "stabilityai/stable-diffusion-2-1",
    "SD-Turbo": "stabilityai/sd-turbo",
    "SDXL": "stabilityai/stable-diffusion-xl-base-1.0",
    "SDXL-Turbo": "stabilityai/sdxl-turbo",
}
"""Where the configurations of a family's single files are, for a program without this app."""

# As _BLEND, with the pooled prompt that SDXL is told too.
_XL_BLEND = """\
with torch.no_grad():
    first, unconditional, first_pooled, unconditional_pooled = pipe.encode_prompt(
        {prompt}, device=device, do_classifier_free_guidance={guided},
        negative_prompt={negative}{options}
    )
    second, _, second_pooled, _ = pipe.encode_prompt(
        {prompt_2}, device=device, do_classifier_free_guidance=False{options}
    )
prompt_embeds = (1 - {share}) * first + {share} * second
pooled_prompt_embeds = (1 - {share}) * first_pooled + {share} * second_pooled

"""

# As _WEIGHED, of both text encoders; the pooled prompt has no tokens to weigh.
_XL_WEIGHED = """\
# Prompt weights as AUTOMATIC1111 has them: each token's embedding times its weight, and the mean of
# them all as before, where it is more than next to nothing. diffusers has none of its own.
{weigh}

def embed(pieces{parameter}):
    states = []
    for tokenizer, encoder in (
        (pipe.tokenizer, pipe.text_encoder),
        (pipe.tokenizer_2, pipe.text_encoder_2),
    ):
        inputs = tokenizer(
            [text for text, _ in pieces],
            is_split_into_words=True,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            found = encoder(inputs.input_ids.to(device), output_hidden_states=True)
        hidden = found.hidden_states[{layer}]
        words = inputs.word_ids(0)
        weights = [1.0 if word is None else pieces[word][1] for word in words]
        states.append(weigh(hidden, weights{mean}) if any(w != 1 for _, w in pieces) else hidden)
    return torch.cat(states, dim=-1), found[0]


{lines}
"""


def family_of(info: ModelInfo | None) -> Family:
    """The model's family; SD 1.x where nothing is known of it."""
    return info.family if info else FAMILIES["SD 1.x"]


def class_of(pipeline: str, info: ModelInfo | None) -> str:
    """The name of one of SD's pipelines, for the family: SDXL has the same under its own names."""
    is_xl = family_of(info).base == "SDXL"
    return pipeline.replace("StableDiffusion", "StableDiffusionXL", 1) if is_xl else pipeline


def opening(pipeline: str, model_source: str | Path, info: ModelInfo | None) -> str:
    """Loading the pipeline: of a folder, a hub id at its commit, or a single file."""
    family = family_of(info)
    is_xl = family.base == "SDXL"
    without = "add_watermarker=False" if is_xl else "safety_checker=None"
    if info and info.file:
        return _FILE.format(
            pipeline=pipeline,
            place=_PLACE.format(what="checkpoint", where=Path(model_source).name),
            config=repr(PUBLISHED[family.name]),
            without=without,
        )
    options: dict[str, str] = {}
    source = str(model_source)
    if info and info.revision and not os.path.exists(source):
        source = split_id(source)[0]
        options["revision"] = info.revision
    if info and info.source != BUNDLED and info.folder.is_dir():
        variant = weights_of(info.folder, "unet", info.name).variant
        options |= {"variant": variant} if variant else {}
    lines = "".join(f"{name}={value!r},\n    " for name, value in options.items())
    place = _place(source)
    return _FOLDER.format(
        pipeline=pipeline,
        place=place,
        source="model" if place else repr(source),
        options=lines,
        without=without,
    )


def _place(source: str) -> str:
    """The variable that says where a model's folder is; "" for a hub id, which is the same on every
    computer. A path of this one would lead nowhere on another, and would tell of its owner.
    """
    folder = Path(source)
    if source == BUNDLED or folder == BUNDLED_FOLDER:
        return _BUNDLED_PLACE.format(where=BUNDLED_FOLDER.relative_to(ROOT).as_posix())
    if not folder.is_absolute() and not os.path.exists(folder):  # which takes any name
        return ""
    return _PLACE.format(what="model, a folder in diffusers layout", where=folder.name)


def scheduler_changes(info: ModelInfo | None) -> dict[str, Any]:
    """What a single file says of its training, beyond its family's configuration."""
    if info is None or info.file is None:
        return {}
    plain = read_json(info.folder / "scheduler" / "scheduler_config.json")
    return {key: value for key, value in info.scheduler_config.items() if plain.get(key) != value}


def is_guided(settings: GenerationSettings, info: ModelInfo | None) -> bool:
    """Return whether there is an unconditional prediction, and so a negative prompt."""
    return "uncond" in family_of(info).rows_of_call(settings)


def guidance_scale(settings: GenerationSettings, info: ModelInfo | None) -> float:
    """Return the scale that the pipeline is called with: one that is embedded is no less than 1
    here.
    """
    scale = settings.guidance_scale
    return max(scale, 1.0) if family_of(info).guidance == "embedded" else scale


def xl_arguments(guided: bool) -> dict[str, str]:
    """What SDXL's pipelines take beside embeddings."""
    pooled = {"pooled_prompt_embeds": "pooled_prompt_embeds"}
    if guided:
        pooled["negative_pooled_prompt_embeds"] = "unconditional_pooled"
    return pooled


def xl_blend(
    *, prompt: str, prompt_2: str, negative: str, share: float, guided: bool, options: str
) -> str:
    """Two prompts mixed; an empty negative prompt is none, as the pipeline reads it.

    `options` is what `encode_prompt` is called with besides, as source text.
    """
    return _XL_BLEND.format(
        prompt=repr(prompt),
        prompt_2=repr(prompt_2),
        negative=repr(negative or None),
        share=repr(share),
        guided=guided,
        options=options,
    )


def xl_weighed(first: str, second: str, uncond: str, *, share: float, is_zero: bool) -> str:
    """Prompts with weights: `first`, `second` and `uncond` are calls of `embed` as source text,
    "" where there is none. With `is_zero` an empty negative prompt is told as zeros.
    """
    lines = [f"prompt_embeds, pooled_prompt_embeds = {first}"]
    if share:
        lines.append(f"second, second_pooled = {second}")
        lines.append(f"prompt_embeds = (1 - {share!r}) * prompt_embeds + {share!r} * second")
        lines.append(
            f"pooled_prompt_embeds = (1 - {share!r}) * pooled_prompt_embeds"
            f" + {share!r} * second_pooled"
        )
    if is_zero:
        lines.append("unconditional = torch.zeros_like(prompt_embeds)")
        lines.append("unconditional_pooled = torch.zeros_like(pooled_prompt_embeds)")
    elif uncond:
        lines.append(f"unconditional, unconditional_pooled = {uncond}")
    return "\n".join(lines) + "\n"


def xl_embed(lines: str, *, skip: str = "", mean: str = "") -> str:
    """`embed` of both text encoders, and the `lines` that use it. `skip` is its parameter that
    counts the layers left out before the last but one, if any; `mean` is what `weigh` is told of
    the mean.
    """
    return _XL_WEIGHED.format(
        weigh=quoted("weigh"),
        lines=lines,
        mean=mean,
        parameter=f", {skip}=0" if skip else "",
        layer=f"-2 - {skip}" if skip else "-2",
    )
