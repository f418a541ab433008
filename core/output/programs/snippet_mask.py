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

# What `padding_mask_crop` does, where the pipeline would not make the picture from this.
_AREA = """\
{overlay}
area = pipe.mask_processor.get_crop_region(mask, {width}, {height}, pad={padding})
fitted = {{"width": {width}, "height": {height}, "resize_mode": "fill"}}
whole, source = source, pipe.image_processor.resize(source.crop(area), **fitted)
mask = pipe.image_processor.resize(mask.crop(area), **fitted).convert("L")
"""

_LAID = """\
image = pipe.image_processor.apply_overlay(overlay, whole, image, area)
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
    """Opening the mask and changing it, for a run of so many calls of the UNet; what it cuts out
    of the source too.
    """
    if not settings.mask_image:
        return ""
    text = _OPENED.format(file=MASK_FILE)
    if settings.matters("mask_grow"):
        text += _GROWN.format(functions=quoted("grown"), pixels=settings.mask_grow)
    if settings.matters("mask_blur"):
        text += _BLURRED.format(radius=settings.mask_blur)
    if _crops_by_hand(settings, calls):
        is_cut = settings.mask_mode == "differential"  # its grey has acted by the time it is laid
        overlay = "overlay = mask" + ".point(lambda grey: 255 if grey else 0)" * is_cut
        text += _AREA.format(
            overlay=overlay,
            width=settings.width,
            height=settings.height,
            padding=settings.masked_padding,
        )
    if settings.matters("mask_mode"):
        text += _DIFFERENTIAL.format(functions=quoted("may_change"), calls=calls)
    return text


def laid_text(settings: GenerationSettings, calls: int) -> str:
    """Lay the picture back into the whole source, where the pipeline does not."""
    return _LAID if _crops_by_hand(settings, calls) else ""


def _crops_by_hand(settings: GenerationSettings, calls: int) -> bool:
    """Whether the pipeline's own `padding_mask_crop` does not do: it takes one mask and a picture
    alone, and makes a finished one.
    """
    is_plain = settings.posterior == "sample" and settings.mask_mode == "binary"
    return settings.matters("masked_only") and not (is_plain and calls and not settings.snapshot)


def mask_arguments(settings: GenerationSettings, calls: int) -> dict[str, str]:
    """What the pipeline is called with besides, as source text."""
    found: dict[str, str] = {}
    if settings.matters("masked_only") and not _crops_by_hand(settings, calls):
        found["padding_mask_crop"] = repr(settings.masked_padding)
    if settings.matters("mask_mode"):
        found["callback_on_step_end"] = "next_mask"
        found["callback_on_step_end_tensor_inputs"] = '["mask"]'
    return found
