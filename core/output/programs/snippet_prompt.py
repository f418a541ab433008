"""The program's prompts: as texts or, weighed or blended, as embeddings."""

from __future__ import annotations

from typing import Any

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.prompt.texts import has_marks
from core.diffusion.recipe.prompt.weights import has_weights, parse_weights, plain_text
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.output.programs.quoted import quoted
from core.output.programs.snippet_marks import told_text
from core.output.programs.snippet_model import (
    family_of,
    is_guided,
    xl_blend,
    xl_embed,
    xl_weighed,
)

# PromptEncoder.between: a straight line between two embeddings.
_BLEND = """\
with torch.no_grad():
    first, unconditional = pipe.encode_prompt(
        {prompt}, device, 1, {guided}, negative_prompt={negative}{options}
    )
    second, _ = pipe.encode_prompt({prompt_2}, device, 1, False{options})
prompt_embeds = (1 - {share}) * first + {share} * second

"""


_WEIGHED = """\
# Prompt weights as AUTOMATIC1111 has them: each token's embedding times its weight, and the mean of
# them all as before, where it is more than next to nothing. diffusers has none of its own.
{weigh}

def embed(pieces{parameter}):
    inputs = pipe.tokenizer(
        [text for text, _ in pieces],
        is_split_into_words=True,
        padding="max_length",
        max_length=pipe.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
{hidden}
    words = inputs.word_ids(0)
    return weigh(hidden, [1.0 if word is None else pieces[word][1] for word in words]{mean})


{lines}
"""


_HIDDEN = """\
        hidden = pipe.text_encoder(inputs.input_ids.to(device))[0]"""


_SKIPPED_HIDDEN = """\
        found = pipe.text_encoder(inputs.input_ids.to(device), output_hidden_states=True)
        hidden = found.hidden_states[-1 - clip_skip]
        hidden = pipe.text_encoder.text_model.final_layer_norm(hidden)"""


def gives_embeddings(settings: GenerationSettings) -> bool:
    """Return whether the pipeline is given `prompt_embeds` (and `unconditional`) in place of
    texts.
    """
    return (
        settings.matters("prompt_blend")
        or has_marks(settings)
        or any(has_weights(text) for text in texts_of(settings))
    )


def texts_of(settings: GenerationSettings) -> tuple[str, str, str]:
    """The prompt, the second and the negative one; "" for what has no effect."""
    return (
        settings.prompt,
        settings.prompt_2 if settings.matters("prompt_2") else "",
        settings.negative_prompt if settings.matters("negative_prompt") else "",
    )


def blend_text(settings: GenerationSettings, info: ModelInfo | None, steps: int, calls: int) -> str:
    """Return what makes the embeddings of a run, as source text; "" where the pipeline gets
    texts.
    """
    prompt, prompt_2, negative = texts_of(settings)
    if not gives_embeddings(settings):
        return ""
    is_xl, guided = family_of(info).base == "SDXL", is_guided(settings, info)
    share = settings.prompt_blend
    is_marked = has_marks(settings)
    if is_marked or any(has_weights(text) for text in (prompt, prompt_2, negative)):
        mean = ", keeps_mean=False" if settings.matters("emphasis") else ""
        skip = "clip_skip" if settings.matters("clip_skip") else ""
        told = f", {settings.clip_skip}" if skip else ""  # of the prompts, not of the negative one
        first, second, uncond = (
            f"embed({[(piece.text, piece.weight) for piece in parse_weights(text)]!r}{more})"
            for text, more in ((prompt, told), (prompt_2, told), (negative, ""))
        )
        if is_marked:
            lines = told_text(settings, info, steps, calls)
        elif is_xl:
            is_zero = guided and not negative and bool(info and info.zeroes_empty_negative)
            lines = xl_weighed(
                first, second, uncond if guided else "", share=share, is_zero=is_zero
            )
        else:
            if share:
                first = f"(1 - {share!r}) * {first} + {share!r} * {second}"
            lines = f"prompt_embeds = {first}\n"
            lines += f"unconditional = {uncond}\n" if guided else ""
        if is_xl:
            return xl_embed(lines, skip=skip, mean=mean)
        return _WEIGHED.format(
            weigh=quoted("weigh"),
            lines=lines,
            mean=mean,
            parameter=", clip_skip=0" if skip else "",
            hidden=_SKIPPED_HIDDEN if skip else _HIDDEN,
        )
    plain = [plain_text(text) for text in (prompt, prompt_2, negative)]
    if is_xl:
        return xl_blend(
            prompt=plain[0],
            prompt_2=plain[1],
            negative=plain[2],
            share=share,
            guided=guided,
            options=encoder_options(settings),
        )
    return _BLEND.format(
        prompt=repr(plain[0]),
        prompt_2=repr(plain[1]),
        negative=repr(plain[2]),
        guided=guided,
        share=repr(share),
        options=encoder_options(settings),
    )


def encoder_options(settings: GenerationSettings) -> str:
    """What `encode_prompt` is called with besides, as source text: ", name=value"."""
    values = encoder_values(settings).items()
    return "".join(f", {name}={value!r}" for name, value in values)


def encoder_values(settings: GenerationSettings) -> dict[str, Any]:
    """The settings that diffusers' pipelines hand to the text encoder, under its names."""
    return {
        row.encoder_argument: getattr(settings, name)
        for name, row in SETTINGS.items()
        if row.encoder_argument and settings.matters(name)
    }
