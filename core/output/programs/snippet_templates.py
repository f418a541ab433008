"""The parts of the program as text; what stands in braces is filled in."""

from __future__ import annotations

PROGRAM = """\
{imports}import torch
from diffusers import {vae_class}{scheduler_class}, {pipeline_class}
{pillow}{vae_line}
device = "cuda" if torch.cuda.is_available() else "cpu"
{opening}pipe.scheduler = {scheduler_class}.from_config({scheduler_arguments})
{stepped}
{opened}{tuned}# The noise is drawn on the CPU, so that a seed is the same picture on every device.
generator = torch.Generator("cpu").manual_seed({seed})
{variation}{blend}{guided}{snapshot}{call}{decode}image.save("image.png")
"""


CALL = """\
image = pipe(
{arguments}
).images[0]
"""


VARIATION = """\
factor = pipe.vae_scale_factor
shape = (1, pipe.unet.config.in_channels, {height} // factor, {width} // factor)
noise = torch.randn(shape, generator=generator)


def noise_of(seed):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


{functions}


{steps}
"""


# PromptEncoder's _before_last: diffusers 0.42 asks for the norm where transformers 4 has it.
CLIP_SKIP = """\
# diffusers looks for the final norm in text_model, which transformers 5 no longer has.
if not hasattr(pipe.text_encoder, "text_model"):
    vars(pipe.text_encoder)["text_model"] = pipe.text_encoder

"""


SNAPSHOT = """\
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


DECODE = """\
with torch.no_grad():
    x0 = seen[{index}].to(pipe.vae.dtype) / pipe.vae.config.scaling_factor
    pixels = pipe.vae.decode(x0, return_dict=False)[0]
image = pipe.image_processor.postprocess(pixels)[0]
"""


# SchedulerRow.sigma_at as source text: the noise level at call `at` of the scheduler's own.
SIGMA = {
    "sigmas": "pipe.scheduler.sigmas[at]",
    "alphas_cumprod": ("(1 / pipe.scheduler.alphas_cumprod[int(timestep)].double() - 1).sqrt()"),
    "sigmas_interpol": (
        "(pipe.scheduler.sigmas_interpol if at % 2 else pipe.scheduler.sigmas)[at]"
    ),
    "sigmas_interpol_before": (
        "pipe.scheduler.sigmas_interpol[at - 1] if at % 2 else pipe.scheduler.sigmas[at]"
    ),
}


LORA_NOTE = """\
# Needs peft. diffusers reads one alpha a file: where a LoRA's layers differ in alpha, or it carries
# DoRA, the app applies what the file says, and these pixels can differ from the app's.
"""
