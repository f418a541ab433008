"""What image-to-image adds to the program that makes the same picture."""

from __future__ import annotations

from pathlib import Path

from core.diffusion.models.load import describe
from core.diffusion.recipe.schedule import StepRange, step_range
from core.diffusion.settings import GenerationSettings
from core.output.programs.snippet_mask import mask_arguments, mask_text

SOURCE_FILE = "source.png"
LATENTS_FILE = "source.npy"

_PICTURE = """\
# The picture as it was prepared here (crop, size): SHA-256 {digest}…
source = Image.open("{file}")
"""

_LATENTS = """\
# Latents that were kept here, instead of a picture: SHA-256 {digest}…
source = torch.from_numpy(np.load("{file}"))[None]
"""

# The pipeline itself draws from the encoder's posterior; latents it takes as they are.
_MEAN = """\
with torch.no_grad():
    pixels = pipe.image_processor.preprocess(source).to(device, pipe.vae.dtype)
    source = pipe.vae.config.scaling_factor * pipe.vae.encode(pixels).latent_dist.mean
"""

# The two pipelines call it for the noise alone: the posterior draws elsewhere.
_VARIED = """

{functions}


def noise_of(seed):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def varied_noise(shape, generator, device, dtype):
    noise = torch.randn(shape, generator=generator)
{steps}
    return noise.to(device, dtype)


factor = pipe.vae_scale_factor
shape = (1, pipe.unet.config.in_channels, {height} // factor, {width} // factor)
sys.modules[type(pipe).__module__].randn_tensor = varied_noise

"""

_ROUND_TRIP = """\
# No step is left at this strength: the source goes through the VAE and back.
with torch.no_grad():
{encode}    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
image = pipe.image_processor.postprocess(pixels)[0]
"""

_SAMPLE = """\
    pixels = pipe.image_processor.preprocess(source).to(device, pipe.vae.dtype)
    latents = pipe.vae.encode(pixels).latent_dist.sample(generator)
    latents = pipe.vae.config.scaling_factor * latents
"""


def pipeline_class(settings: GenerationSettings) -> str:
    """diffusers' pipeline for these settings."""
    if settings.mask_image:
        return "StableDiffusionInpaintPipeline"
    return "StableDiffusionImg2ImgPipeline" if settings.init_image else "StableDiffusionPipeline"


def program_step_range(settings: GenerationSettings, model_source: str | Path) -> StepRange:
    """Return where the run begins; only matched noise needs to look at the model. Raises
    ModelError.
    """
    config = describe(str(model_source)).scheduler_config if settings.match_noise else None
    return step_range(settings, config)


def source_text(settings: GenerationSettings, calls: int) -> str:
    """Opening the source and the mask, for a run of so many calls of the UNet."""
    if not settings.init_image:
        return ""
    digest = settings.init_image[:12]
    if settings.posterior == "latents":
        text = _LATENTS.format(digest=digest, file=LATENTS_FILE)
    else:
        text = _PICTURE.format(digest=digest, file=SOURCE_FILE)
    text += mask_text(settings, calls)
    return text + (_MEAN if settings.posterior == "mean" else "") + "\n"


def varied_text(settings: GenerationSettings, functions: str, steps: str) -> str:
    """The noise of the seed, varied where the pipeline draws it."""
    return _VARIED.format(
        functions=functions,
        steps="\n".join(f"    {line}" for line in steps.splitlines()),
        width=settings.width,
        height=settings.height,
    )


def round_trip_text(settings: GenerationSettings) -> str:
    """The program's end in place of the pipeline's call, where no step is left."""
    latents = "    latents = source.to(device, pipe.vae.dtype)\n"
    return _ROUND_TRIP.format(encode=_SAMPLE if settings.posterior == "sample" else latents)


def source_arguments(settings: GenerationSettings, begin: StepRange, calls: int) -> dict[str, str]:
    """What an image-to-image pipeline is called with besides, as source text, for a run of so many
    calls of the UNet.
    """
    if not settings.init_image:
        return {}
    arguments = {"image": "source"}
    if settings.mask_image:
        arguments |= {"mask_image": "mask"} | mask_arguments(settings, calls)
        if settings.posterior != "sample":  # else it draws for a picture that is never looked at
            arguments["masked_image_latents"] = "source"
    steps, run = begin.schedule_steps, begin.num_executed_steps
    if run == steps:
        strength = 1.0
    elif settings.exact_steps or settings.match_noise:
        strength = (run + 0.5) / steps  # of which diffusers takes int(steps * strength)
    else:
        strength = settings.strength
    return arguments | {"num_inference_steps": repr(steps), "strength": repr(strength)}
