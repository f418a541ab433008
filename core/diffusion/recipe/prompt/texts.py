"""The texts that a run is told, step by step: the prompt's parts, the second and the negative one.

Source: AUTOMATIC1111's `modules/prompt_parser.py` (get_multicond_prompt_list), after Liu et al.
2022, "Compositional Visual Generation with Composable Diffusion Models". Unlike there, a prompt
without AND has no weight of its own: "a screen of 16:9" stays as it is. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.diffusion.recipe.prompt.editing import changes, texts_by_step
from core.diffusion.recipe.prompt.weights import BREAKS, canonical_prompt, parse_chunks
from core.diffusion.recipe.schedulers import SCHEDULERS

MOST_PARTS = 8
"""Prompts that AND joins, each a row of the UNet in every call, and parts between BREAKs."""

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*([-+]?(?:\d{1,6}\.?|\d{0,6}\.\d{1,9}))")

Part = tuple[str, float]
"""A prompt and the weight of its difference from the prediction without a prompt."""


class PromptSettings(Protocol):
    """The settings that are texts; `GenerationSettings` are such."""

    @property
    def prompt(self) -> str: ...
    @property
    def negative_prompt(self) -> str: ...
    @property
    def prompt_2(self) -> str: ...
    @property
    def scheduler(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The texts of one step; `parts` are the prompt's, one where no AND joins several."""

    parts: tuple[Part, ...]
    second: str
    negative: str


def parts_of(prompt: str) -> tuple[Part, ...]:
    """Take apart "a cat AND a dog :0.5"; a weight left out is 1."""
    if not joins(prompt):
        return ((prompt, 1.0),)
    return tuple(map(_part, _AND.split(prompt)))


def joins(prompt: str) -> bool:
    """Return whether AND joins several prompts."""
    return "AND" in prompt and _AND.search(prompt) is not None


def prompts_by_step(settings: PromptSettings, steps: int) -> tuple[Prompts, ...]:
    """The texts of each of so many steps, at least one."""
    parts = parts_of(settings.prompt)
    texts = [texts_by_step(text, steps) for text, _ in parts]
    weights = [weight for _, weight in parts]
    return tuple(
        Prompts(parts=tuple(zip(now, weights, strict=True)), second=second, negative=negative)
        for *now, second, negative in zip(
            *texts,
            texts_by_step(settings.prompt_2, steps),
            texts_by_step(settings.negative_prompt, steps),
            strict=True,
        )
    )


def is_one_text(settings: PromptSettings) -> bool:
    """Return whether the UNet is told one prompt and one negative prompt in all calls."""
    texts = (settings.prompt, settings.prompt_2, settings.negative_prompt)
    return not joins(settings.prompt) and not any(map(changes, texts))


def has_marks(settings: PromptSettings) -> bool:
    """Return whether the UNet is told more than one text, or one in several chunks."""
    texts = (settings.prompt, settings.prompt_2, settings.negative_prompt)
    return not is_one_text(settings) or any(len(parse_chunks(text)) > 1 for text in texts)


def canonical_texts(texts: Mapping[str, str], steps: int | None) -> dict[str, Any]:
    """Equal for texts, by their settings' names, that are told the same in each of so many steps:
    `canonical_prompt`'s form, or the last step of each text with it. None is not known.
    """
    found: dict[str, Any] = {}
    for name, prompt in texts.items():
        parts = parts_of(prompt) if name == "prompt" else ((prompt, 1.0),)
        forms = [_canonical_text(text, steps) for text, _ in parts]
        found[name] = forms[0]
        if len(parts) > 1:
            weighed = zip(forms, parts, strict=True)
            found[name] = {"and": [[form, weight] for form, (_, weight) in weighed]}
    return found


def parts_problem(prompt: str) -> str:
    """Why a prompt has more parts than are run; "" where it has not."""
    count, chunks = len(parts_of(prompt)), len(BREAKS.findall(prompt)) + 1
    if count > MOST_PARTS:
        return f"joins {count} prompts by AND: at most {MOST_PARTS} are run"
    if chunks > MOST_PARTS:
        return f"has {chunks} parts between BREAKs: at most {MOST_PARTS} are read"
    return ""


def every_text(prompt: str, steps: int, name: str = "prompt") -> tuple[tuple[str, str], ...]:
    """Each text that the setting `name` has in so many steps, once, and when: ("1-10", "a cat"); ""
    where it is there in all. AND joins several in the prompt alone.
    """
    found: dict[str, list[int]] = {}
    for text, _ in parts_of(prompt) if name == "prompt" else [(prompt, 1.0)]:
        for step, now in enumerate(texts_by_step(text, steps), 1):
            found.setdefault(now, []).append(step)
    return tuple(
        ("" if len(set(when)) == max(steps, 1) else _ranges(sorted(set(when))), text)
        for text, when in found.items()
    )


def switches(settings: PromptSettings, calls: int) -> dict[int, str]:
    """The calls of a run of so many, counted from 0, in which any text is another than in the call
    before, and the prompt's from there on.
    """
    if is_one_text(settings) or calls == 0:
        return {}
    step_of = SCHEDULERS[settings.scheduler].step_of
    by_step = prompts_by_step(settings, step_of(calls - 1))
    told = [by_step[step_of(call) - 1] for call in range(calls)]
    return {
        call: " AND ".join(text.strip() for text, _ in told[call].parts)
        for call in range(1, calls)
        if told[call] != told[call - 1]
    }


def last_words(settings: PromptSettings, steps: int) -> str:
    """What a run of so many steps is told to show at its end: the parts of the last step's prompt
    whose weight is above 0, side by side.
    """
    if not has_marks(settings):
        return settings.prompt
    parts = prompts_by_step(settings, steps)[-1].parts
    return ", ".join(BREAKS.sub(" ", text).strip() for text, weight in parts if weight > 0)


def _canonical_text(text: str, steps: int | None) -> Any:
    if steps is None:
        return {"text": text} if changes(text) else canonical_prompt(text)
    runs: list[list[Any]] = []
    for step, now in enumerate(texts_by_step(text, steps), 1):
        form = canonical_prompt(now)
        if runs and runs[-1][1] == form:
            runs.pop()
        runs.append([step, form])
    return runs[0][1] if len(runs) == 1 else {"until": runs}


def _part(text: str) -> Part:
    words, colon, number = text.rstrip().rpartition(":")
    if colon and (weight := _WEIGHT.fullmatch(number)):
        return words.rstrip(), float(weight[1])
    return text.rstrip(), 1.0


def _ranges(steps: Sequence[int]) -> str:
    """ "1-3, 7": neighbouring steps as a range."""
    found: list[list[int]] = []
    for step in steps:
        if found and found[-1][1] == step - 1:
            found[-1][1] = step
        else:
            found.append([step, step])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)
