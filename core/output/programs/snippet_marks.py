"""The program's prompts where the UNet is told more than one text: by call, by BREAK, by AND."""

from __future__ import annotations

import math

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.prompt.texts import Prompts, has_marks, prompts_by_step
from core.diffusion.recipe.prompt.weights import parse_chunks
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.output.programs.snippet_model import family_of, is_guided

# `embed` has been defined before: states (1, tokens, width), of SDXL with the pooled prompt.
_TOLD = """\
# diffusers tells the UNet one text. Here are all that the prompt has, as AUTOMATIC1111 reads
# [from:to:when], [a|b], BREAK and AND: a row each, the negative prompt's first where it acts.
def row(chunks, *skip):
{row}


def mixed(first, second, share):
    return tuple((1 - share) * a + share * b for a, b in zip(first, second))


told = [
{told}
]
at_call = {at_call}
{first}
"""

_ROW = """\
    return (torch.cat([embed(pieces, *skip) for pieces in chunks], dim=1),)"""

_XL_ROW = """\
    found = [embed(pieces, *skip) for pieces in chunks]
    return torch.cat([states for states, _ in found], dim=1), found[0][1]"""

_TELLING = """\
plain_forward = pipe.unet.forward
rows_of_calls = iter(at_call)


@functools.wraps(plain_forward)
def told_unet(sample, timestep, **options):
    states, *pooled = map(torch.cat, zip(*told[next(rows_of_calls)]))
    options["encoder_hidden_states"] = states
    if pooled:
        time_ids = options["added_cond_kwargs"]["time_ids"]
        times = time_ids[[0] * len(states)]
        options["added_cond_kwargs"] = {"text_embeds": pooled[0], "time_ids": times}
    return plain_forward(sample, timestep, **options)


pipe.unet.forward = told_unet

"""


def told_text(settings: GenerationSettings, info: ModelInfo | None, steps: int, calls: int) -> str:
    """What makes the rows of each call of a run, after `embed` is defined."""
    row = SCHEDULERS[settings.scheduler]
    by_step = prompts_by_step(settings, steps)
    distinct = list(dict.fromkeys(by_step))
    at_call = [distinct.index(by_step[row.step_of(call) - 1]) for call in range(calls)]
    is_xl, guided = family_of(info).base == "SDXL", is_guided(settings, info)
    lines = [f"    [{', '.join(_rows(settings, info, one, guided=guided))}]," for one in distinct]
    names = ["prompt_embeds", "pooled_prompt_embeds"][: 2 if is_xl else 1]
    first = f"{', '.join(names)}{'' if is_xl else ','} = told[0][{int(guided)}]"
    if guided:
        names = ["unconditional", "unconditional_pooled"][: 2 if is_xl else 1]
        first += f"\n{', '.join(names)}{'' if is_xl else ','} = told[0][0]"
    return _TOLD.format(
        row=_XL_ROW if is_xl else _ROW, told="\n".join(lines), at_call=at_call, first=first
    )


def telling_text(settings: GenerationSettings) -> str:
    """The UNet that is told the rows of `told_text`; "" where the pipeline tells it enough."""
    return _TELLING if has_marks(settings) else ""


def _rows(
    settings: GenerationSettings, info: ModelInfo | None, prompts: Prompts, *, guided: bool
) -> list[str]:
    """A call's rows as source text: all of equally many tokens, by repeating the shorter ones."""
    share = settings.prompt_blend
    texts = [text for text, _ in prompts.parts]
    told = [*texts, *([prompts.negative] if guided else []), *([prompts.second] if share else [])]
    chunks = math.lcm(*(len(parse_chunks(text)) for text in told))
    skip = f", {settings.clip_skip}" if settings.matters("clip_skip") else ""

    def row(text: str, more: str) -> str:
        pieces = [[(piece.text, piece.weight) for piece in one] for one in parse_chunks(text)]
        return f"row({pieces * (chunks // len(pieces))!r}{more})"

    rows = [row(text, skip) for text in texts]
    if share:
        rows = [f"mixed({one}, {row(prompts.second, skip)}, {share!r})" for one in rows]
    if guided:
        is_zero = bool(info and info.zeroes_empty_negative) and not prompts.negative
        zeros = f"tuple(map(torch.zeros_like, {rows[0]}))"
        rows = [zeros if is_zero else row(prompts.negative, ""), *rows]
    return rows
