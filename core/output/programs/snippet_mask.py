"""What a mask adds to the program: opening it, and what becomes of it before it is used."""

from __future__ import annotations

from core.diffusion.settings import GenerationSettings
from core.output.programs.quoted import quoted

MASK_FILE = "mask.png"

_OPENED = """\
mask = Image.open("{file}")  # white is inpainted
"""

_BLURRED = """\
mask = mask.filter(ImageFilter.GaussianBlur({radius}))
"""

_GROWN = """\
{functions}

mask = Image.fromarray(grown(np.asarray(mask), {pixels}))
"""

# The pipeline takes one mask; its callback may hand over another for the next step.
_DIFFERENTIAL = """\
{functions}

calls = {calls}  # of the UNet
grey = np.asarray(mask)


def next_mask(pipe, step, timestep, values):
    factor = pipe.vae_scale_factor
    white = may_change(grey[::factor, ::factor], step + 2, calls)
    return {{"mask": torch.from_numpy(white).to(values["mask"]).expand_as(values["mask"])}}


mask = Image.fromarray(np.where(may_change(grey, 1, calls), 255, 0).astype(np.uint8))
"""


def mask_text(settings: GenerationSettings, calls: int) -> str:
    """Opening the mask and changing it, for a run of so many calls of the UNet."""
    if not settings.mask_image:
        return ""
    text = _OPENED.format(file=MASK_FILE)
    if settings.matters("mask_grow"):
        text += _GROWN.format(functions=quoted("grown"), pixels=settings.mask_grow)
    if settings.matters("mask_blur"):
        text += _BLURRED.format(radius=settings.mask_blur)
    if settings.matters("mask_mode"):
        text += _DIFFERENTIAL.format(functions=quoted("may_change"), calls=calls)
    return text


def mask_arguments(settings: GenerationSettings) -> dict[str, str]:
    """What the pipeline is called with besides, as source text."""
    if not settings.matters("mask_mode"):
        return {}
    return {
        "callback_on_step_end": "next_mask",
        "callback_on_step_end_tensor_inputs": '["mask"]',
    }
