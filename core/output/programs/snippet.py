"""The plain diffusers program that makes the same picture."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.diffusion.models.load import ModelInfo
from core.diffusion.models.lora.files import wanted_loras
from core.diffusion.models.vae.files import wanted_vae
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.prompt.weights import plain_text
from core.diffusion.recipe.sampler import added, sampler_of, step_options
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.variations import Variation, read_region, variations_of
from core.diffusion.settings import GenerationSettings
from core.output.programs.quoted import quoted
from core.output.programs.snippet_guidance import guided_text, guides_itself
from core.output.programs.snippet_marks import telling_text
from core.output.programs.snippet_mask import laid_text
from core.output.programs.snippet_model import (
    class_of,
    family_of,
    guidance_scale,
    is_guided,
    opening,
    scheduler_changes,
    xl_arguments,
)
from core.output.programs.snippet_prompt import blend_text, encoder_values, gives_embeddings
from core.output.programs.snippet_source import (
    pipeline_class,
    program_step_range,
    round_trip_text,
    source_arguments,
    source_text,
    varied_text,
)
from core.output.programs.snippet_templates import (
    CALL,
    CLIP_SKIP,
    DECODE,
    LORA_NOTE,
    PROGRAM,
    SIGMA,
    SNAPSHOT,
    VARIATION,
)
from core.output.programs.snippet_vae import encoded_by, vae_import, vae_text


def snippet(
    settings: GenerationSettings, model_source: str | Path, info: ModelInfo | None = None
) -> str:
    """A program that writes image.png with the pixels of the engine's strict mode.

    `model_source` is a folder in diffusers layout, a hub id or a checkpoint; `info` says of which
    family it is (SD 1.x without). It needs diffusers, transformers and accelerate alone, and beside
    it the files of LoRAs and a VAE, and for image-to-image the source (`snippet_source`). Every
    text of the settings stands in it as a Python literal. Raises SettingsError for settings that
    cannot be run.
    """
    settings.require_valid()
    row = sampler_of(settings)
    snapshot = settings.snapshot
    variation = _variation(settings)
    begin = program_step_range(settings, model_source)
    calls = begin.calls(row)
    opened = source_text(settings, calls)
    pillow = [name for name in ("Image", "ImageFilter") if f"{name}." in opened]
    guided = guided_text(settings, info, calls, begin.first_call(row))
    guided += telling_text(settings)
    stepped = step_text(settings, "pipe.scheduler", called_by_pipeline=True)
    written = variation + (SNAPSHOT if snapshot else "") + guided + stepped
    imports = [name for name in ("functools", "math", "sys") if f"{name}." in written]
    arguments = _arguments(settings, info) | source_arguments(settings, begin, calls)
    pipeline = class_of(pipeline_class(settings), info)
    has_norm = family_of(info).base != "SDXL"  # whose pipelines leave it out
    skip = CLIP_SKIP if has_norm and settings.matters("clip_skip") else ""
    call = CALL.format(
        arguments="\n".join(f"    {name}={value}," for name, value in arguments.items())
    )
    vae = wanted_vae(settings)
    vae_class, vae_line = vae_import(vae)
    program = PROGRAM.format(
        vae_class=vae_class,
        vae_line=vae_line,
        scheduler_class=row.class_name,
        opening=opening(pipeline, model_source, info) + vae_text(vae),
        scheduler_arguments=_named(
            "pipe.scheduler.config", scheduler_changes(info) | dict(row.config)
        ),
        seed=settings.seed,
        variation=variation,
        blend=blend_text(settings, info, begin.num_executed_steps, calls),
        imports="".join(f"import {name}\n" for name in imports)
        + "\n" * bool(imports)
        + ("import numpy as np\n" if "np." in opened else ""),
        pipeline_class=pipeline,
        pillow=f"from PIL import {', '.join(pillow)}\n" if pillow else "",
        stepped=stepped,
        opened=opened,
        tuned=_loras(settings) + skip,
        guided=guided,
        call=round_trip_text(settings) if begin.num_executed_steps == 0 else call,
        snapshot=_snapshot(settings, begin.first_call(row)) if snapshot else "",
        decode=(_decode(snapshot - 1, info) if snapshot else "") + laid_text(settings, calls),
    )
    return encoded_by(vae, program)


def _snapshot(settings: GenerationSettings, first_call: int) -> str:
    return SNAPSHOT.format(
        functions=quoted("to_x0"),
        call=settings.snapshot,
        sigma=SIGMA[SCHEDULERS[settings.scheduler].sigma_at],
        first=f"{first_call} + " if first_call else "",
    )


def _decode(index: int, info: ModelInfo | None) -> str:
    """SDXL's VAE overflows in half precision: its pipeline takes it to float32 as well."""
    wider = "pipe.vae.to(torch.float32)\n" if family_of(info).base == "SDXL" else ""
    return wider + DECODE.format(index=index)


def _arguments(settings: GenerationSettings, info: ModelInfo | None) -> dict[str, str]:
    """What the pipeline is called with, as source text; what has no effect is left out."""
    values: dict[str, Any] = {}
    guided = is_guided(settings, info)
    if not gives_embeddings(settings):
        values["prompt"] = plain_text(settings.prompt)
        if guided and settings.negative_prompt:
            values["negative_prompt"] = plain_text(settings.negative_prompt)
        values |= encoder_values(settings)
    if not settings.init_image or settings.mask_image:  # else the source's own size
        values["width"] = settings.width
        values["height"] = settings.height
    values["num_inference_steps"] = settings.num_inference_steps
    values["guidance_scale"] = guidance_scale(settings, info)
    if guides_itself(settings, info):
        # The UNet has the scale; the pipeline only has to ask for both rows.
        values["guidance_scale"] = max(settings.guidance_scale, 2.0)
    elif guided and settings.matters("guidance_rescale"):
        values["guidance_rescale"] = settings.guidance_rescale
    if settings.matters("eta") and "set_timesteps" not in added(settings):
        values["eta"] = settings.eta
    source = {name: repr(value) for name, value in values.items()}
    if gives_embeddings(settings):
        blended = {"prompt_embeds": "prompt_embeds"}
        if guided:
            blended["negative_prompt_embeds"] = "unconditional"
        if family_of(info).base == "SDXL":
            blended |= xl_arguments(guided)
        source = blended | source
    if has_own_noise(settings) and not settings.init_image:
        source["latents"] = "noise.to(pipe.unet.dtype)"
    return source | {"generator": "generator"}


def has_own_noise(settings: GenerationSettings) -> bool:
    """Return whether the run starts from another noise than the seed's."""
    return bool(variations_of(settings)) or settings.matters("noise_multiplier")


def step_text(settings: GenerationSettings, of: str, *, called_by_pipeline: bool = False) -> str:
    """What stands in the place of methods of the scheduler, which `of` names; a pipeline hands over
    eta itself.
    """
    if ours := added(settings):
        functions = quoted(*(one.function for one, _ in ours.values()))
        lines = [
            f"{of}.{method} = functools.partial({_bound(one.function, of, options)})\n"
            for method, (one, options) in ours.items()
        ]
        return "".join([f"\n\n{functions}\n\n", *lines])
    options = step_options(settings)
    if called_by_pipeline:
        options.pop("eta", None)
    if not options:
        return ""
    return f"{of}.step = functools.partial({_bound(f'{of}.step', '', options)})\n"


def _bound(function: str, first: str, options: Mapping[str, float]) -> str:
    named = (f"{name}={value!r}" for name, value in options.items())
    return ", ".join(filter(None, [function, first, *named]))


def _variation(settings: GenerationSettings) -> str:
    """The noise, one variation after another, by the very functions that made it here."""
    if not has_own_noise(settings):
        return ""
    variations = variations_of(settings)
    mixes = dict.fromkeys(METHODS[one.method].mix for one in variations)
    functions = "\n\n".join(inspect.getsource(mix) for mix in mixes).rstrip()
    lines = [_step(settings, one) for one in variations]
    if settings.matters("noise_multiplier"):
        lines.append(f"noise = {settings.noise_multiplier!r} * noise")
    steps = "\n".join(lines)
    if settings.init_image:
        return varied_text(settings, functions, steps)
    return VARIATION.format(
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
    return LORA_NOTE + "\n".join(lines) + "\n\n"


def _named(first: str, named: Mapping[str, Any]) -> str:
    if not named:
        return first
    lines = [first, *(f"{name}={value!r}" for name, value in named.items())]
    return "\n" + "".join(f"    {line},\n" for line in lines)
