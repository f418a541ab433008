"""The plain diffusers program that makes the same picture."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.diffusion.models.load import ModelInfo
from core.diffusion.models.lora.files import wanted_loras
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.prompt_weights import has_weights, parse_weights, plain_text
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.recipe.variations import Variation, read_region, variations_of
from core.diffusion.settings import GenerationSettings
from core.output.programs.quoted import quoted
from core.output.programs.snippet_model import (
    class_of,
    family_of,
    guidance_scale,
    is_guided,
    opening,
    scheduler_changes,
    xl_arguments,
    xl_blend,
    xl_weighed,
)
from core.output.programs.snippet_source import (
    begins,
    pipeline_class,
    rescaled_text,
    round_trip_text,
    source_arguments,
    source_text,
    varied_text,
)

_PROGRAM = """\
{imports}import torch
from diffusers import {scheduler_class}, {pipeline_class}
{pillow}
device = "cuda" if torch.cuda.is_available() else "cpu"
{opening}pipe.scheduler = {scheduler_class}.from_config({scheduler_arguments})

{opened}{tuned}# The noise is drawn on the CPU, so that a seed is the same picture on every device.
generator = torch.Generator("cpu").manual_seed({seed})
{variation}{blend}{rescaled}{snapshot}{call}{decode}image.save("image.png")
"""

_CALL = """\
image = pipe(
{arguments}
).images[0]
"""

_VARIATION = """\
factor = pipe.vae_scale_factor
shape = (1, pipe.unet.config.in_channels, {height} // factor, {width} // factor)
noise = torch.randn(shape, generator=generator)


def noise_of(seed):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


{functions}


{steps}
"""

# PromptEncoder.between: a straight line between two embeddings.
_BLEND = """\
with torch.no_grad():
    first, unconditional = pipe.encode_prompt(
        {prompt}, device, 1, {guided}, negative_prompt={negative}{options}
    )
    second, _ = pipe.encode_prompt({prompt_2}, device, 1, False{options})
prompt_embeds = (1 - {share}) * first + {share} * second

"""

_WEIGHED = """\
# Prompt weights as AUTOMATIC1111 has them: each token's embedding times its weight, and the mean of
# them all as before, where it is more than next to nothing. diffusers has none of its own.
{weigh}

def embed(pieces{parameter}):
    inputs = pipe.tokenizer(
        [text for text, _ in pieces],
        is_split_into_words=True,
        padding="max_length",
        max_length=pipe.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
{hidden}
    words = inputs.word_ids(0)
    return weigh(hidden, [1.0 if word is None else pieces[word][1] for word in words])


prompt_embeds = {cond}
{uncond}
"""

_HIDDEN = """\
        hidden = pipe.text_encoder(inputs.input_ids.to(device))[0]"""
_SKIPPED_HIDDEN = """\
        found = pipe.text_encoder(inputs.input_ids.to(device), output_hidden_states=True)
        hidden = found.hidden_states[-1 - clip_skip]
        hidden = pipe.text_encoder.text_model.final_layer_norm(hidden)"""

# PromptEncoder's _before_last: diffusers 0.42 asks for the norm where transformers 4 has it.
_CLIP_SKIP = """\
# diffusers looks for the final norm in text_model, which transformers 5 no longer has.
if not hasattr(pipe.text_encoder, "text_model"):
    vars(pipe.text_encoder)["text_model"] = pipe.text_encoder

"""

_SNAPSHOT = """\
# The picture that the model predicts at UNet call {call}: diffusers does not return it, so the
# scheduler's step is watched. scale_model_input makes the latents variance preserving.
{functions}

plain_step = pipe.scheduler.step
seen = []


@functools.wraps(plain_step)
def watched_step(prediction, timestep, latents, **options):
    x = pipe.scheduler.scale_model_input(latents, timestep).float()
    at = {first}len(seen)
    sigma = torch.tensor([float({sigma})], device=x.device)
    kind = pipe.scheduler.config.prediction_type
    seen.append(to_x0(prediction.float(), x, sigma, kind))
    return plain_step(prediction, timestep, latents, **options)


pipe.scheduler.step = watched_step
"""

_DECODE = """\
with torch.no_grad():
    x0 = seen[{index}].to(pipe.vae.dtype) / pipe.vae.config.scaling_factor
    pixels = pipe.vae.decode(x0, return_dict=False)[0]
image = pipe.image_processor.postprocess(pixels)[0]
"""

# SchedulerRow.sigma_at as source text: the noise level at call `at` of the scheduler's own.
_SIGMA = {
    "sigmas": "pipe.scheduler.sigmas[at]",
    "alphas_cumprod": ("(1 / pipe.scheduler.alphas_cumprod[int(timestep)].double() - 1).sqrt()"),
    "sigmas_interpol": (
        "(pipe.scheduler.sigmas_interpol if at % 2 else pipe.scheduler.sigmas)[at]"
    ),
    "sigmas_interpol_before": (
        "pipe.scheduler.sigmas_interpol[at - 1] if at % 2 else pipe.scheduler.sigmas[at]"
    ),
}


def snippet(
    settings: GenerationSettings, model_source: str | Path, info: ModelInfo | None = None
) -> str:
    """A program that writes image.png with the pixels of the engine's strict mode.

    `model_source` is a folder in diffusers layout, a hub id or a checkpoint; `info` says of which
    family it is (SD 1.x without). It needs diffusers, transformers
    and accelerate alone, and for image-to-image the source beside it (`snippet_source`). Every
    text of the settings stands in it as a Python literal. Raises SettingsError for settings that
    cannot be run.
    """
    settings.require_valid()
    row = SCHEDULERS[settings.scheduler]
    snapshot = settings.snapshot
    variation = _variation(settings)
    begin = begins(settings, model_source)
    opened, rescaled = source_text(settings), rescaled_text(settings)
    written = variation + (_SNAPSHOT if snapshot else "") + rescaled
    imports = [name for name in ("functools", "math", "sys") if f"{name}." in written]
    arguments = _arguments(settings, info) | source_arguments(settings, begin)
    pipeline = class_of(pipeline_class(settings), info)
    has_norm = family_of(info).base != "SDXL"  # whose pipelines leave it out
    skip = _CLIP_SKIP if has_norm and settings.matters("clip_skip") else ""
    call = _CALL.format(
        arguments="\n".join(f"    {name}={value}," for name, value in arguments.items())
    )
    return _PROGRAM.format(
        scheduler_class=row.class_name,
        opening=opening(pipeline, model_source, info),
        scheduler_arguments=_named(
            "pipe.scheduler.config", scheduler_changes(info) | dict(row.config)
        ),
        seed=settings.seed,
        variation=variation,
        blend=_blend(settings, info),
        imports="".join(f"import {name}\n" for name in imports)
        + "\n" * bool(imports)
        + ("import numpy as np\n" if "np." in opened else ""),
        pipeline_class=pipeline,
        pillow="from PIL import Image\n" if "Image." in opened else "",
        opened=opened,
        tuned=_loras(settings) + skip,
        rescaled=rescaled,
        call=round_trip_text(settings) if begin.num_executed_steps == 0 else call,
        snapshot=_snapshot(settings, begin.first_call(row)) if snapshot else "",
        decode=_decode(snapshot - 1, info) if snapshot else "",
    )


def _snapshot(settings: GenerationSettings, first_call: int) -> str:
    return _SNAPSHOT.format(
        functions=quoted("to_x0"),
        call=settings.snapshot,
        sigma=_SIGMA[SCHEDULERS[settings.scheduler].sigma_at],
        first=f"{first_call} + " if first_call else "",
    )


def _decode(index: int, info: ModelInfo | None) -> str:
    """SDXL's VAE overflows in half precision: its pipeline takes it to float32 as well."""
    wider = "pipe.vae.to(torch.float32)\n" if family_of(info).base == "SDXL" else ""
    return wider + _DECODE.format(index=index)


def _arguments(settings: GenerationSettings, info: ModelInfo | None) -> dict[str, str]:
    """What the pipeline is called with, as source text; what has no effect is left out."""
    values: dict[str, Any] = {}
    guided = is_guided(settings, info)
    if not gives_embeddings(settings):
        values["prompt"] = plain_text(settings.prompt)
        if guided and settings.negative_prompt:
            values["negative_prompt"] = plain_text(settings.negative_prompt)
        values |= _encoder_values(settings)
    if not settings.init_image or settings.mask_image:  # else the source's own size
        values["width"] = settings.width
        values["height"] = settings.height
    values["num_inference_steps"] = settings.num_inference_steps
    values["guidance_scale"] = guidance_scale(settings, info)
    if guided and settings.matters("guidance_rescale") and not settings.init_image:
        values["guidance_rescale"] = settings.guidance_rescale
    source = {name: repr(value) for name, value in values.items()}
    if gives_embeddings(settings):
        blended = {"prompt_embeds": "prompt_embeds"}
        if guided:
            blended["negative_prompt_embeds"] = "unconditional"
        if family_of(info).base == "SDXL":
            blended |= xl_arguments(guided)
        source = blended | source
    if variations_of(settings) and not settings.init_image:
        source["latents"] = "noise.to(pipe.unet.dtype)"
    return source | {"generator": "generator"}


def _variation(settings: GenerationSettings) -> str:
    """The noise, one variation after another, by the very functions that made it here."""
    variations = variations_of(settings)
    if not variations:
        return ""
    mixes = dict.fromkeys(METHODS[one.method].mix for one in variations)
    functions = "\n\n".join(inspect.getsource(mix) for mix in mixes).rstrip()
    steps = "\n".join(_step(settings, one) for one in variations)
    if settings.init_image:
        return varied_text(settings, functions, steps)
    return _VARIATION.format(
        width=settings.width, height=settings.height, functions=functions, steps=steps
    )


def _step(settings: GenerationSettings, variation: Variation) -> str:
    method = METHODS[variation.method]
    other, strength = f"noise_of({variation.seed})", repr(variation.strength)
    if not method.uses:
        return f"noise = {method.mix.__name__}(noise, {other}, {strength})"
    if method.uses == "variation_channel":
        part = f":, {variation.channel} : {variation.channel + 1}"
    else:
        size = {"width": settings.width, "height": settings.height}
        left, top, right, bottom = read_region(variation.region, **size)
        part = (
            f":, :, {top} // factor : -(-{bottom} // factor), "
            f"{left} // factor : -(-{right} // factor)"
        )
    return (
        f"part = noise[{part}], {other}[{part}]\n"
        f"noise[{part}] = {method.mix.__name__}(*part, {strength})"
    )


def gives_embeddings(settings: GenerationSettings) -> bool:
    """Return whether the pipeline is given `prompt_embeds` (and `unconditional`) in place of
    texts.
    """
    return settings.matters("prompt_blend") or any(has_weights(text) for text in _texts(settings))


_LORA_NOTE = """\
# Needs peft. diffusers reads one alpha a file: where a LoRA's layers differ in alpha, or it carries
# DoRA, the app applies what the file says, and these pixels can differ from the app's.
"""


def _loras(settings: GenerationSettings) -> str:
    """Loading the LoRA files, which lie beside the program, in the order of the engine."""
    used = wanted_loras(settings)
    if not used:
        return ""
    lines = [
        f"pipe.load_lora_weights({file.path.name!r}, adapter_name='lora_{place}')"
        f"  # SHA-256 {file.sha[:12]}…"
        for place, file in enumerate(used)
    ]
    adapters = [f"lora_{place}" for place in range(len(used))]
    lines.append(f"pipe.set_adapters({adapters!r}, {[file.weight for file in used]!r})")
    return _LORA_NOTE + "\n".join(lines) + "\n\n"


def _texts(settings: GenerationSettings) -> tuple[str, str, str]:
    """The prompt, the second and the negative one; "" for what has no effect."""
    return (
        settings.prompt,
        settings.prompt_2 if settings.matters("prompt_2") else "",
        settings.negative_prompt if settings.matters("negative_prompt") else "",
    )


def _blend(settings: GenerationSettings, info: ModelInfo | None) -> str:
    prompt, prompt_2, negative = _texts(settings)
    if not gives_embeddings(settings):
        return ""
    is_xl, guided = family_of(info).base == "SDXL", is_guided(settings, info)
    share = settings.prompt_blend
    if any(has_weights(text) for text in (prompt, prompt_2, negative)):
        skip = "clip_skip" if settings.matters("clip_skip") else ""
        told = f", {settings.clip_skip}" if skip else ""  # of the prompts, not of the negative one
        first, second, uncond = (
            f"embed({[(piece.text, piece.weight) for piece in parse_weights(text)]!r}{more})"
            for text, more in ((prompt, told), (prompt_2, told), (negative, ""))
        )
        if is_xl:
            is_zero = guided and not negative and bool(info and info.zeroes_empty_negative)
            return xl_weighed(
                first, second, uncond if guided else "", share=share, is_zero=is_zero, skip=skip
            )
        if share:
            first = f"(1 - {share!r}) * {first} + {share!r} * {second}"
        unconditional = f"unconditional = {uncond}\n" if guided else ""
        return _WEIGHED.format(
            weigh=quoted("weigh"),
            cond=first,
            uncond=unconditional,
            parameter=", clip_skip=0" if skip else "",
            hidden=_SKIPPED_HIDDEN if skip else _HIDDEN,
        )
    plain = [plain_text(text) for text in (prompt, prompt_2, negative)]
    if is_xl:
        return xl_blend(
            prompt=plain[0],
            prompt_2=plain[1],
            negative=plain[2],
            share=share,
            guided=guided,
            options=encoder_options(settings),
        )
    return _BLEND.format(
        prompt=repr(plain[0]),
        prompt_2=repr(plain[1]),
        negative=repr(plain[2]),
        guided=guided,
        share=repr(share),
        options=encoder_options(settings),
    )


def encoder_options(settings: GenerationSettings) -> str:
    """What `encode_prompt` is called with besides, as source text: ", name=value"."""
    values = _encoder_values(settings).items()
    return "".join(f", {name}={value!r}" for name, value in values)


def _encoder_values(settings: GenerationSettings) -> dict[str, Any]:
    """The settings that diffusers' pipelines hand to the text encoder, under its names."""
    return {
        row.encoder_argument: getattr(settings, name)
        for name, row in SETTINGS.items()
        if row.encoder_argument and settings.matters(name)
    }


def _named(first: str, named: Mapping[str, Any]) -> str:
    if not named:
        return first
    lines = [first, *(f"{name}={value!r}" for name, value in named.items())]
    return "\n" + "".join(f"    {line},\n" for line in lines)
