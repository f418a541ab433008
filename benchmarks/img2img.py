"""How much faster a strip of strengths and a ladder of variations are than as many pipeline calls.

python -m benchmarks.img2img [--repeats 5] [--busy]

A strip: strengths 0.1 to 1.0 in ten, 20 steps, of one source, encoded once, in one batch whose
cells leave as they finish, against ten calls of diffusers' StableDiffusionImg2ImgPipeline. A
ladder: 16 variations of one seed in one batch, against 16 calls of StableDiffusionPipeline with
the same noises. Everything runs in one process, interleaved; figures are medians of the repeats.
On a machine that does other work, `--busy` counts the seconds of CPU of one thread instead.

The last line is one JSON object. Aims: `speedup_strip` and `speedup_ladder` at least 1.8.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

from benchmarks.timing import Clock, clock_of, paired, parser_of, report, timed
from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.diffusion.recipe.images import input_digest, prepare
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.sampling.noise import initial_noise
from core.diffusion.settings import GenerationSettings

STRENGTHS = tuple(k / 10 for k in range(1, 11))
CHILDREN = 16


def a_picture(side: int) -> np.ndarray:
    """Slopes in three colours: what the encoder sees does not change its speed."""
    slope = np.linspace(0, 255, side).astype(np.uint8)
    across, down = np.tile(slope, (side, 1)), np.tile(slope[:, None], (1, side))
    return prepare(Image.fromarray(np.dstack([across, down, 255 - across])), side, side, "crop")


def measure(repeats: int, clock: Clock) -> dict[str, Any]:
    model = load_model("bundled", device="cpu")
    info = model.info
    source = a_picture(info.default_width)
    sources = {input_digest(source): source}
    text = model.pipeline()
    image: Any = StableDiffusionImg2ImgPipeline(**text.components, requires_safety_checker=False)
    image.set_progress_bar_config(disable=True)
    base = GenerationSettings(
        width=info.default_width,
        height=info.default_height,
        num_inference_steps=20,
        guidance_scale=info.default_guidance_scale,
        scheduler=info.default_scheduler,
    )

    def strip(repeat: int, name: str) -> list[GenerationSettings]:
        # A prompt of its own each time: the engine would know the embedding of a repeated one.
        own = replace(base, prompt=f"a red apple, flat style {repeat} {name}", seed=repeat + 1)
        return [replace(own, init_image=input_digest(source), strength=s) for s in STRENGTHS]

    def ladder(repeat: int, name: str) -> list[GenerationSettings]:
        own = replace(base, prompt=f"a red apple, flat style {repeat} {name}", seed=repeat + 1)
        return [
            replace(own, variation_seed=100 + child, variation_strength=0.3)
            for child in range(CHILDREN)
        ]

    def by_engine(wanted: list[GenerationSettings]) -> object:
        # A new engine: nothing of the source is known from the repeat before.
        return Engine(model, inputs=sources.__getitem__).generate(wanted)

    def pictured(one: GenerationSettings) -> object:
        return image(
            one.prompt,
            image=Image.fromarray(source),
            strength=one.strength,
            num_inference_steps=one.num_inference_steps,
            guidance_scale=one.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(one.seed),
        ).images[0]

    def varied(one: GenerationSettings) -> object:
        factor = info.vae_scale_factor
        shape = (info.latent_channels, one.height // factor, one.width // factor)
        return text(
            one.prompt,
            latents=initial_noise(one, shape)[0],
            num_inference_steps=one.num_inference_steps,
            guidance_scale=one.guidance_scale,
        ).images[0]

    strips = timed(
        {
            "pipeline, strip": lambda n: [pictured(one) for one in strip(n, "pipeline")],
            "engine, strip": lambda n: by_engine(strip(n, "engine")),
        },
        repeats,
        clock,
    )
    ladders = timed(
        {
            "pipeline, ladder": lambda n: [varied(one) for one in ladder(n, "pipeline")],
            "engine, ladder": lambda n: by_engine(ladder(n, "engine")),
        },
        repeats,
        clock,
    )
    medians = {name: statistics.median(values) for name, values in (strips | ladders).items()}
    calls = sum(unet_calls(one) for one in strip(0, ""))
    return {
        "strip_unet_calls": calls,
        "strip_of_padded_work": calls / (len(STRENGTHS) * base.num_inference_steps),
        "pipeline_strip_seconds": medians["pipeline, strip"],
        "engine_strip_seconds": medians["engine, strip"],
        "speedup_strip": paired(strips["pipeline, strip"], strips["engine, strip"]),
        "pipeline_ladder_seconds": medians["pipeline, ladder"],
        "engine_ladder_seconds": medians["engine, ladder"],
        "speedup_ladder": paired(ladders["pipeline, ladder"], ladders["engine, ladder"]),
    }


def main() -> int:
    options = parser_of(__doc__).parse_args()
    report("img2img", options, measure(options.repeats, clock_of(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
