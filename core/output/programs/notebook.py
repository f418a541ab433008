"""A Jupyter notebook of a run: plain diffusers, first as the pipeline does it, then by hand."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any, cast

import nbformat

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.guidance.methods import is_plain
from core.diffusion.recipe.prompt.texts import has_marks
from core.diffusion.recipe.prompt.weights import plain_text
from core.diffusion.settings import GenerationSettings
from core.output.programs.snippet import has_own_noise, snippet, step_text
from core.output.programs.snippet_guidance import method_lines
from core.output.programs.snippet_prompt import encoder_options, gives_embeddings

_TITLE = """\
# {prompt}

Made by Diffusion Lightbox. This notebook needs diffusers, transformers and accelerate, and the
model at the place that the first cell names. It makes the picture by the pipeline{twice}.
"""
_TWICE = """, and once more by the same steps
written out. The last cell holds the two against each other, pixel by pixel"""
_EMPTY = "A picture without a prompt"

_BY_HAND = """\
## The same by hand

The prompt becomes embeddings (one vector a token, 77 places), the negative prompt too."""

_EMBED = """\
with torch.no_grad():
    cond, uncond = pipe.encode_prompt(
        {prompt}, device, 1, {guided}, negative_prompt={negative}{options}
    )
cond.shape"""
_EMBEDDED = """\
cond{uncond} = prompt_embeds{unconditional}
cond.shape"""

_NOISE_WORDS = """\
The seed becomes noise, on the CPU. A scheduler that keeps its latents as x0 + sigma * noise
multiplies it by its largest sigma."""
_NOISE = """\
scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
{stepped}scheduler.set_timesteps({steps}, device=device)
generator = torch.Generator("cpu").manual_seed({seed})
shape = (
    1,
    pipe.unet.config.in_channels,
    {height} // pipe.vae_scale_factor,
    {width} // pipe.vae_scale_factor,
)
drawn = torch.randn(shape, generator=generator)
latents = {noise}.to(device, pipe.unet.dtype) * scheduler.init_noise_sigma
latents.shape, float(latents.std())"""

_LOOP_WORDS = "The loop: one call of the UNet{both}, guidance, and the scheduler's step."
_LOOP = """\
import inspect
{guide}
takes_generator = "generator" in inspect.signature(scheduler.step).parameters
extra = {{"generator": generator}} if takes_generator else {{}}
with torch.no_grad():
    for timestep in scheduler.timesteps:
{body}
        print(f"timestep {{float(timestep):6.1f}}, deviation {{float(latents.std()):.3f}}")"""
_CALL = """\
x = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
eps = pipe.unet(x, timestep, torch.cat([uncond, cond]), return_dict=False)[0]
eps_uncond, eps_cond = eps.chunk(2)"""
_CALL_UNGUIDED = """\
x = scheduler.scale_model_input(latents, timestep)
prediction = pipe.unet(x, timestep, cond, return_dict=False)[0]"""
_SAID = "said = SimpleNamespace(uncond=eps_uncond, cond=eps_cond, carried=None)"
_STEP = "latents = scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]"

_DECODE_WORDS = "The VAE's decoder turns the latents into a picture: its own scale, then pixels."
_DECODE = """\
with torch.no_grad():
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
by_hand = pipe.image_processor.postprocess(pixels)[0]
by_hand"""
_SAME = """\
assert by_hand.tobytes() == image.tobytes(), "the two pictures differ"
"The same picture, to the last bit\""""


def notebook(
    settings: GenerationSettings,
    model_source: str | Path,
    info: ModelInfo | None = None,
    *,
    by_hand: bool = True,
) -> bytes:
    """The .ipynb (format 4) of a whole run; its first half is `snippet`'s program, cell by cell.

    A `snapshot` is not one here. The loop `by_hand` is that of a Stable Diffusion model with
    classifier-free guidance by the plain rule or none and a prompt of one text; otherwise, and for
    image-to-image, whose loop begins in the middle, there is the program alone. Raises
    SettingsError for settings that cannot be run.
    """
    settings = replace(settings, snapshot=0)
    program = snippet(settings, model_source, info)
    setup, start, make = _parts(program)
    has_loop = by_hand and not settings.init_image and _is_plain(settings)
    cells = [
        (
            "markdown",
            _TITLE.format(prompt=_heading(settings.prompt), twice=_TWICE if has_loop else ""),
        ),
        ("code", setup),
        ("markdown", "## As the pipeline does it"),
        ("code", start),
        ("code", f"{make}\nimage"),
    ]
    if has_loop:
        cells += _by_hand(settings)
    return _write(cells)


def _is_plain(settings: GenerationSettings) -> bool:
    """Return whether guidance is by the plain rule or none, and the prompt one text."""
    return is_plain(settings) and not has_marks(settings)


def lines_by_hand(settings: GenerationSettings) -> dict[str, str]:
    """The loop of a Stable Diffusion model on plain diffusers, part by part: "prompt", "noise",
    "call", "guidance" (where it is on), "step" and "decode", as the notebook has them.
    """
    guided = settings.uses_guidance
    if gives_embeddings(settings):
        embed = _EMBEDDED.format(
            uncond=", uncond" if guided else "", unconditional=", unconditional" if guided else ""
        )
    else:
        embed = _EMBED.format(
            prompt=repr(plain_text(settings.prompt)),
            negative=repr(plain_text(settings.negative_prompt) if guided else ""),
            guided=guided,
            options=encoder_options(settings),
        )
    stepped = step_text(settings, "scheduler")
    noise = _NOISE.format(
        stepped=f"import functools\n{stepped}" if stepped else "",
        steps=settings.num_inference_steps,
        seed=settings.seed,
        width=settings.width,
        height=settings.height,
        noise="noise" if has_own_noise(settings) else "drawn",
    )
    parts = {"prompt": embed, "noise": noise, "call": _CALL if guided else _CALL_UNGUIDED}
    if guided:
        parts["guidance"] = "\n\n".join(_guidance_by_hand(settings))
    return parts | {"step": _STEP, "decode": _DECODE}


def _guidance_by_hand(settings: GenerationSettings) -> tuple[str, str]:
    """The functions of guidance, and the lines that make the prediction."""
    functions, lines = method_lines(settings)
    return functions, f"{_SAID}\n{lines}\nprediction = guided"


def _by_hand(settings: GenerationSettings) -> list[tuple[str, str]]:
    parts, guided = lines_by_hand(settings), settings.uses_guidance
    both = " for both, cond and uncond together" if guided else ""
    guide, lines = _guidance_by_hand(settings) if guided else ("", "")
    body = "\n".join([parts["call"], *([lines] if guided else []), parts["step"]])
    return [
        ("markdown", _BY_HAND),
        ("code", parts["prompt"]),
        ("markdown", _NOISE_WORDS),
        ("code", parts["noise"]),
        ("markdown", _LOOP_WORDS.format(both=both)),
        ("code", _LOOP.format(guide=guide, body=indent(body, " " * 8))),
        ("markdown", _DECODE_WORDS),
        ("code", parts["decode"]),
        ("code", _SAME),
    ]


def _parts(program: str) -> tuple[str, str, str]:
    """The program up to the scheduler, up to the pipeline's call, and from there; comments stay."""
    lines = program.splitlines()
    body = ast.parse(program).body
    scheduler = next(node for node in body if _assigns(node, "pipe.scheduler"))
    call = next(node for node in body if _assigns(node, "image"))
    first, second = scheduler.end_lineno or scheduler.lineno, call.lineno - 1
    groups = (lines[:first], lines[first:second], lines[second:])
    setup, start, make = ("\n".join(group).strip("\n") for group in groups)
    return setup, start, make


def _assigns(node: ast.stmt, target: str) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == target


def _heading(prompt: str) -> str:
    """The prompt on one line, without what Markdown reads."""
    words = " ".join(prompt.split()) or _EMPTY
    return "".join(
        f"\\{letter}" if letter in r"\`*_{}[]<>()#+-!|$~&" else letter for letter in words
    )


def _write(cells: list[tuple[str, str]]) -> bytes:
    make = cast(Any, nbformat).v4
    built: list[Any] = []
    for number, (kind, source) in enumerate(cells, start=1):
        cell = make.new_code_cell(source) if kind == "code" else make.new_markdown_cell(source)
        cell.id = f"step-{number}"  # nbformat draws one at random: equal runs are equal files
        built.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = make.new_notebook(cells=built, metadata={"kernelspec": kernel})
    cast(Any, nbformat).validate(book)
    return str(cast(Any, nbformat).writes(book)).encode()
