"""Rows of SETTINGS: the texts, and how the text encoder reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.diffusion.recipe.prompt.choices import plain_words
from core.diffusion.recipe.prompt.texts import every_text, joins, parts_problem
from core.diffusion.recipe.prompt.weights import EMPHASES, has_weights
from core.diffusion.recipe.prompt.words import with_terms
from core.diffusion.recipe.rows.sampler import SINCE
from core.diffusion.recipe.setting import AxisError, Setting, Settings, Swept, WebUiText


def _without_term(prompt: str, values: Sequence[Any]) -> str:
    return prompt.replace(str(values[0]), "…")


def _without_terms(prompt: str, values: Sequence[Any]) -> str:
    for term in sorted(values[0], key=len, reverse=True):
        prompt = prompt.replace(term, "…", 1)
    return prompt


def _reordered(settings: Settings, value: Sequence[str], first: Sequence[str]) -> Settings:
    try:
        return replace(settings, prompt=with_terms(settings.prompt, first, value))
    except ValueError as error:
        raise AxisError(str(error)) from error


def _search_and_replace(
    name: str, label: str, of: str, examples: str, *, after: tuple[str, ...] = ()
) -> Swept:
    """An axis whose first term is searched for in a text, and replaced by each in turn. `after`
    names other axes that change the text before.
    """

    def apply(settings: Settings, value: str, first: str) -> Settings:
        text = getattr(settings, of)
        if not first:
            raise AxisError("the first term, which is searched for, is empty")
        term = first if first in text else plain_words(first)  # a mark, written with a backslash
        if term not in text:
            where = of.replace("_", " ")
            raise AxisError(f"{first!r}, the term to search for, is not in the {where}")
        return replace(settings, **{of: text.replace(term, term if value == first else value)})

    return Swept(
        name=name,
        label=label,
        examples=examples,
        apply=apply,
        after=(of, *after),
        shared=_without_term,
        note=f"The first term is searched for in the {of.replace('_', ' ')}; each in turn takes "
        "its place.",
    )


PROMPT_ROWS = (
    Setting(
        name="prompt",
        default="",
        label="Prompt",
        help="What the picture shows.",
        group="prompt",
        is_prompt=True,
        check=parts_problem,
        web_ui=WebUiText(keys=(), is_plain=False),
        swept=(
            Swept(
                examples='"a red apple on a blue background", "a robot on a pink background"',
                note="Whole prompts. Put one with commas in quotes.",
            ),
            Swept(
                name="prompt_order",
                label="Prompt order",
                examples="red, apple",
                apply=_reordered,
                after=("prompt",),
                shared=_without_terms,
                orders=True,
                cost="one image an order: two terms have 2, three 6, four 24, five 120",
                note="Two to five terms of the prompt. The axis has every order of them, each in "
                "the places where they stand.",
            ),
            _search_and_replace(
                "prompt_search_replace",
                "Prompt: search and replace",
                "prompt",
                "red, blue, green",
                after=("prompt_order",),
            ),
            _search_and_replace(
                "prompt_search_replace_2",
                "Prompt: search and replace, second",
                "prompt",
                "apple, robot, owl",
                after=("prompt_order", "prompt_search_replace"),
            ),
        ),
    ),
    Setting(
        name="negative_prompt",
        default="",
        label="Negative prompt",
        help="What the picture is pushed away from. It acts only where there is guidance.",
        group="prompt",
        is_prompt=True,
        check=parts_problem,
        matters=lambda settings: settings.uses_guidance or joins(settings.prompt),
        web_ui=WebUiText(keys=(), is_plain=False),
        swept=(
            Swept(examples='"", "flat style"'),
            _search_and_replace(
                "negative_search_replace",
                "Negative prompt: search and replace",
                "negative_prompt",
                "blue, green, yellow",
            ),
            _search_and_replace(
                "negative_search_replace_2",
                "Negative prompt: search and replace, second",
                "negative_prompt",
                "flat style, photo",
                after=("negative_search_replace",),
            ),
        ),
    ),
)


def _is_weighed(settings: Settings) -> bool:
    """Return whether any text that acts has weights at any step."""
    names = ("prompt", "prompt_2", "negative_prompt")
    return any(
        has_weights(text)
        for name in names
        if name == "prompt" or settings.matters(name)
        for _, text in every_text(getattr(settings, name), settings.num_inference_steps, name)
    )


def _is_blended(settings: Settings) -> bool:
    return settings.prompt_blend > 0


def _emphasis(text: str) -> str:
    if text not in EMPHASES:
        raise ValueError(text)
    return text


SECOND_PROMPT_ROWS = (
    Setting(
        name="prompt_2",
        default="",
        label="Second prompt",
        help="The blend goes from the prompt to this one, in a straight line between their "
        "embeddings.",
        group="prompt",
        is_prompt=True,
        check=parts_problem,
        matters=_is_blended,
        web_ui=WebUiText(keys=("Prompt 2",), read=str),
    ),
    Setting(
        name="prompt_blend",
        default=0.0,
        label="Prompt blend",
        help="How far from the prompt, 0, to the second prompt, 1.",
        group="prompt",
        bounds=(0, 1),
        step=0.05,
        matters=_is_blended,
        web_ui=WebUiText(keys=("Prompt blend",), read=float),
        swept=(
            Swept(
                examples="0-1 [5]",
                note="From the prompt, 0, to the second prompt of the base settings, 1.",
            ),
        ),
    ),
    Setting(
        name="emphasis",
        default=EMPHASES[0],
        label="Emphasis",
        help="How weights in prompts act, as in AUTOMATIC1111: Original restores the mean of all "
        "embeddings, No norm leaves it as the weights made it.",
        group="prompt",
        choices=EMPHASES,
        matters=lambda settings: settings.emphasis != EMPHASES[0] and _is_weighed(settings),
        web_ui=WebUiText(keys=("Emphasis",), read=_emphasis),
        swept=(Swept(examples=", ".join(EMPHASES)),),
        since=SINCE,
    ),
    Setting(
        name="clip_skip",
        default=0,
        label="Clip skip",
        help="Layers left out at the end of the text encoder for the prompt, as in diffusers; 0 "
        "is none. AUTOMATIC1111 counts one more, and leaves them out for the negative prompt too.",
        group="prompt",
        bounds=(0, 22),  # SD 2.x has the deepest encoder; a model's own says how many it has
        step=1,
        matters=lambda settings: settings.clip_skip > 0,
        encoder_argument="clip_skip",
        web_ui=WebUiText(
            keys=("Clip skip",),
            write=lambda layers: str(layers + 1),
            read=lambda text: max(int(text) - 1, 0),
        ),
        swept=(Swept(examples="0-2"),),
        since="0.2.0",
    ),
)
