"""What guidance adds to the program that makes the same picture, where the pipeline has it not."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.guidance.methods import (
    APG,
    CFG_PP,
    METHODS,
    PAG,
    Row,
    acting_method,
    guided_calls,
    is_plain,
)
from core.diffusion.recipe.prompt.texts import joins, parts_of
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.output.programs.quoted import quoted
from core.output.programs.snippet_model import family_of
from core.output.programs.snippet_templates import SIGMA

_GUIDED = """\
# diffusers' pipelines guide by one rule, at every step. Here the UNet itself guides and hands its
# result over twice: the pipeline's rule leaves that as it is.
{functions}
state = SimpleNamespace(call=0, carried=None, uncond=None)
plain_unet = pipe.unet.forward
{attention}

@functools.wraps(plain_unet)
def guided_unet(sample, timestep, **options):
    def predict(*rows):  # 0: without the prompt, 1: with it
        told = dict(options)
        told["encoder_hidden_states"] = options["encoder_hidden_states"][[*rows]]
        if added := options.get("added_cond_kwargs"):
            told["added_cond_kwargs"] = {{name: value[[*rows]] for name, value in added.items()}}
        return plain_unet(sample[[0] * len(rows)], timestep, **told)[0].split(1)

{body}
    state.call += 1
    return (torch.cat([guided, guided]),)


pipe.unet.forward = guided_unet

"""

_ATTENTION = """\
perturbed_layers = [
    layer
    for name, layer in pipe.unet.named_modules()
    if name.startswith({layers!r}) and name.endswith("attn1")
]
plain_attention = [layer.processor for layer in perturbed_layers]


def attend(processors):
    for layer, processor in zip(perturbed_layers, processors):
        layer.processor = processor

"""

# CFG++: the scheduler puts the guided noise back; here it is the one without the prompt.
_RENOISED = """\
plain_scheduler_step = pipe.scheduler.step


@functools.wraps(plain_scheduler_step)
def renoised_step(prediction, timestep, latents, **options):
    x = pipe.scheduler.scale_model_input(latents, timestep).float()
    at = {first}state.call - 1
    sigma = torch.tensor([float({sigma})], device=x.device)
    kind = pipe.scheduler.config.prediction_type
    found, *rest = plain_scheduler_step(prediction, timestep, latents, **options)
    if state.uncond is not None:
        uncond, guided = (
            to_epsilon(one.float(), x, sigma, kind) for one in (state.uncond, prediction)
        )
        found = renoised(found, uncond, guided, pipe.scheduler, timestep)
    return (found, *rest)


pipe.scheduler.step = renoised_step

"""

_ROW: Mapping[Row, str] = {"uncond": "0", "cond": "1", "perturbed": "1"}


def guides_itself(settings: GenerationSettings, info: ModelInfo | None) -> bool:
    """Return whether the program guides in place of the pipeline."""
    if len(family_of(info).rows_of_call(settings)) == 1:
        return False
    if joins(settings.prompt):
        return True
    # diffusers' image-to-image pipelines have no guidance_rescale.
    is_rescaled = bool(settings.init_image) and settings.matters("guidance_rescale")
    return is_rescaled or not is_plain(settings)


def guided_text(
    settings: GenerationSettings, info: ModelInfo | None, calls: int, first_call: int
) -> str:
    """The UNet that guides, for a run of `calls` that begins at the scheduler's `first_call`; ""
    where the pipeline has this guidance itself.
    """
    if not guides_itself(settings, info):
        return ""
    rows = family_of(info).rows_of_call(settings)
    functions, lines = method_lines(settings)
    body = _call_lines(settings, rows) + lines
    if settings.guidance_method == CFG_PP:
        body += "\nstate.uncond = uncond"
    acts = guided_calls(settings, calls)
    if acts != range(calls):
        otherwise = "guided = predict(1)[0]"
        if joins(settings.prompt):
            otherwise = f"{_joined_lines(settings)}\nguided = cond"
        if settings.guidance_method == CFG_PP:
            otherwise += "\nstate.uncond = None"
        body = (
            f"if state.call in {acts!r}:  # of {calls} calls\n{indent(body, '    ')}\n"
            f"else:\n{indent(otherwise, '    ')}"
        )
    if acts and settings.matters("zero_init_steps"):
        zero = "    guided = torch.zeros_like(sample[:1])"
        body = f"if state.call < {settings.zero_init_steps}:\n{zero}\nelse:\n{indent(body, '    ')}"
    text = _GUIDED.format(
        functions=functions,
        attention=_ATTENTION.format(layers=settings.pag_layers) if "perturbed" in rows else "",
        body=indent(body, "    "),
    )
    if settings.guidance_method == CFG_PP:
        text += _RENOISED.format(
            sigma=SIGMA[SCHEDULERS[settings.scheduler].sigma_at],
            first=f"{first_call} + " if first_call else "",
        )
    return text


def _call_lines(settings: GenerationSettings, rows: tuple[Row, ...]) -> str:
    """The UNet's call of a guided step."""
    if joins(settings.prompt):
        told = "uncond=uncond, cond=cond, carried=state.carried"
        return f"{_joined_lines(settings)}\nsaid = SimpleNamespace({told})\n"
    names = ", ".join(rows)
    call = f"{names} = predict({', '.join(_ROW[row] for row in rows)})"
    if "perturbed" in rows:
        kind = "PAGCFGIdentity" if "uncond" in rows else "PAGIdentity"
        processors = f"[{kind}SelfAttnProcessor2_0()] * len(perturbed_layers)"
        call = f"attend({processors})\n{call}\nattend(plain_attention)"
    told = ", ".join(f"{row}={row}" for row in rows)
    if "uncond" not in rows:
        told = f"uncond=None, {told}"
    return f"{call}\nsaid = SimpleNamespace({told}, carried=state.carried)\n"


def _joined_lines(settings: GenerationSettings) -> str:
    """The UNet's call of the prompts that AND joins, and their predictions as one."""
    weights = [weight for _, weight in parts_of(settings.prompt)]
    rows = ", ".join(map(str, range(1, len(weights) + 1)))
    return f"uncond, *conds = predict(0, {rows})\ncond = composed(conds, {weights!r}, uncond)"


def method_lines(settings: GenerationSettings) -> tuple[str, str]:
    """The functions of a method with the settings that they read, and the lines that make `guided`
    of `said`.
    """
    name = acting_method(settings)
    method = METHODS[name]
    wanted = [*(["composed"] if joins(settings.prompt) else []), method.function]
    lines = [f"guided = {method.function}(said, settings)"]
    imports = ["from types import SimpleNamespace"]
    if name == APG:
        wanted.append("averaged")
        lines.append("state.carried = averaged(said, settings)")
    if name == CFG_PP:
        wanted += ["to_epsilon", "renoised"]
    if name == PAG:
        imports.append(
            "from diffusers.models.attention_processor import (\n"
            "    PAGCFGIdentitySelfAttnProcessor2_0,\n    PAGIdentitySelfAttnProcessor2_0,\n)"
        )
    if settings.guidance_rescale > 0:
        imports.append(
            "from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import "
            "rescale_noise_cfg"
        )
        lines.append(
            "guided = rescale_noise_cfg(guided, said.cond, "
            f"guidance_rescale={settings.guidance_rescale!r})"
        )
    read = ("guidance_scale", *method.settings)
    values = ", ".join(f"{one}={getattr(settings, one)!r}" for one in read)
    functions = "\n".join(imports) + "\n" + quoted(*wanted)
    return f"{functions}\n\nsettings = SimpleNamespace({values})", "\n".join(lines)
