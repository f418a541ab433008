"""The words around a grid: what its values are called and what all its cells share."""

from __future__ import annotations

from dataclasses import fields

from core.diffusion.recipe.variations import METHODS
from core.diffusion.settings import INIT_FIELDS
from core.output.sheet.lettering import clean
from core.sweeps.axes import AXES
from core.sweeps.sweep import Axis, Sweep


def value_labels(axis: Axis | None) -> list[str]:
    """A label a value; one empty label where the side has no axis."""
    return [axis.value_label(i) for i in range(len(axis.values))] if axis else [""]


def legend(sweep: Sweep) -> list[tuple[str, str]]:
    """Name and value of every setting that all cells share and that matters to the pixels.

    Of a prompt in which a term is replaced, the rest is shown with … in the term's place.
    """
    base = sweep.base
    parts = {part.name: part for axis in sweep.axes().values() for part in axis.parts()}
    varied = {AXES[name].field for name in parts}
    if "size" in parts:
        varied.add("height")
    prompt = base.prompt
    if "prompt_search_replace" in parts and "prompt" not in parts:
        prompt = prompt.replace(str(parts["prompt_search_replace"].values[0]), "…")
        varied.discard("prompt")
    shown: list[tuple[str, str, str]] = [
        ("prompt", "Prompt", prompt),
        ("negative_prompt", "Negative prompt", base.negative_prompt),
        ("model", "Model", AXES["model"].show(base.model)),
        ("seed", "Seed", _seed_text(sweep)),
        ("scheduler", "Scheduler", base.scheduler),
        ("num_inference_steps", "Steps", str(base.num_inference_steps)),
        ("guidance_scale", "Guidance scale", _guidance_text(base.guidance_scale)),
        ("guidance_rescale", "Guidance rescale", f"{base.guidance_rescale:g}"),
        ("width", "Size", f"{base.width} × {base.height}"),
        ("variation_seed", "Variation seed", str(base.variation_seed)),
        ("variation_strength", "Variation strength", f"{base.variation_strength:g}"),
        ("variation_method", "Variation method", METHODS[base.variation_method].label),
        ("variation_region", "Variation region", base.variation_region),
        ("variation_channel", "Variation channel", str(base.variation_channel)),
        ("variation_chain", "Earlier variations", base.variation_chain),
        ("prompt_2", "Second prompt", base.prompt_2),
        ("prompt_blend", "Prompt blend", f"{base.prompt_blend:g}"),
        ("snapshot", "Snapshot at step", str(base.snapshot)),
        ("init_image", "Source picture", base.init_image[:12]),
        ("strength", "Strength", f"{base.strength:g}"),
        ("exact_steps", "Exact steps", "yes" if base.exact_steps else ""),
        ("match_noise", "Matched noise", "yes" if base.match_noise else ""),
        ("posterior", "Latents of the source", base.posterior),
        ("mask_image", "Mask", base.mask_image[:12]),
    ]
    if not base.init_image:
        varied |= set(INIT_FIELDS)
    if base.variation_strength == 0 and "variation_strength" not in varied:
        varied |= {"variation_seed", "variation_strength", "variation_method"}
    uses = METHODS[base.variation_method].uses
    for name in ("variation_region", "variation_channel"):
        if "variation_method" in varied or uses != name:
            varied.add(name)
    if base.prompt_blend == 0:
        varied.add("prompt_blend")
        if "prompt_blend" not in parts:
            varied.add("prompt_2")
    without_guidance = not base.uses_guidance and "guidance_scale" not in varied
    if without_guidance or base.guidance_rescale == 0:
        varied.add("guidance_rescale")
    if without_guidance:
        varied.add("negative_prompt")
    if base.snapshot == 0:
        varied.add("snapshot")
    # A setting that this list does not know yet is shown all the same where it does something.
    known = {field for field, _, _ in shown} | {"height"}
    shown += [
        (field.name, AXES[field.name].label if field.name in AXES else field.name, str(value))
        for field in fields(base)
        if field.name not in known and (value := getattr(base, field.name)) != field.default
    ]
    return [(name, clean(value)) for field, name, value in shown if field not in varied and value]


def _guidance_text(scale: float) -> str:
    return f"{scale:g}" if scale > 1 else f"{scale:g} (off)"


def _seed_text(sweep: Sweep) -> str:
    if not sweep.new_seed:
        return str(sweep.base.seed)
    return f"{sweep.base.seed} and up, a new one each {sweep.new_seed}"
