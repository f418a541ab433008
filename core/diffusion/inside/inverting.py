"""What DDIM inversion takes of the settings, and what cannot be inverted. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from core.diffusion.models.info import ModelInfo
from core.diffusion.recipe.prompt.texts import is_one_text
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings, Problem

MOST_STEPS = 250
"""Of one inversion: the latents of all of them are kept."""

ONE_TEXT = "is told as one text here: take AND, [from:to:when] and [a|b] out of it"

TAKEN = (
    "model",
    "loras",
    "vae",
    "prompt",
    "negative_prompt",
    "prompt_2",
    "prompt_blend",
    "clip_skip",
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "init_image",
    "posterior",
)


def inverted_settings(settings: GenerationSettings) -> GenerationSettings:
    """The settings with their default for all that has no part in DDIM inversion; of the source
    the posterior's mean, where it is not latents itself.
    """
    unused = {name: row.default for name, row in SETTINGS.items() if name not in TAKEN}
    posterior = "latents" if settings.posterior == "latents" else "mean"
    return replace(settings, **(unused | {"posterior": posterior}))


def inversion_problems(settings: GenerationSettings, info: ModelInfo) -> list[Problem]:
    """Every reason why this cannot be inverted with a model."""
    found = settings.validate(vae_scale_factor=info.vae_scale_factor)
    if info.family.guidance != "free":
        reason = (
            f"is of the family {info.family_name}, which was distilled to few steps: choose one "
            "that is guided by two predictions, such as SD 1.x or SDXL"
        )
        found.append(Problem(field="model", reason=reason))
    if not is_one_text(settings):
        found.append(Problem(field="prompt", reason=ONE_TEXT))
    if not settings.init_image:
        found.append(Problem(field="init_image", reason="is missing: choose what to invert"))
    steps = settings.num_inference_steps
    if steps > MOST_STEPS:
        reason = f"{steps} is more than {MOST_STEPS}, the most that are inverted: choose fewer"
        found.append(Problem(field="num_inference_steps", reason=reason))
    return found
